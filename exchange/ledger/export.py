"""Export what a search finds as one file: JSON Lines, CSV or Parquet, with a manifest to sign.

JSON Lines are the entries' own bytes, in which a receipt can be checked; CSV and Parquet are tables
for people and programs, whose last column holds the entry.
"""

import asyncio
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal

from exchange.clock import now_ms, rfc3339
from exchange.errors import BadInput
from exchange.ledger.ledger import Leaf, Ledger
from exchange.ledger.search import Wanted, find

Format = Literal["jsonl", "csv", "parquet"]
MAX_LEAVES = 100_000
IN_MEMORY = 8 << 20
PAGE = 1000
COLUMNS = ("index", "time", "event_id", "type", "subject", "consumer_id", "provider_id", "event")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Export:
    """A file from its beginning, and what its manifest says of it."""

    file: IO[bytes]
    length: int
    sha256: bytes
    claims: dict[str, Any]


async def export_leaves(ledger: Ledger, wanted: Wanted, form: Format) -> Export:
    """Write the entries that are wanted, of the log as it is now, into a file.

    Raises BadInput for more than MAX_LEAVES, Unavailable.
    """
    note = await ledger.checkpoint()
    return await asyncio.to_thread(_export, ledger, wanted, form, note)


def _export(ledger: Ledger, wanted: Wanted, form: Format, note: str) -> Export:
    file: Any = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  its sender closes it
    try:
        count = _Counted(_pages(ledger, wanted, int(note.split("\n")[1])))
        _WRITERS[form](file, count.pages())
        length = file.tell()
        file.seek(0)
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    claims = {
        "iat": now_ms() // 1000,
        "format": form,
        "sha256": digest.hexdigest(),
        "bytes": length,
        "leaves": count.leaves,
        "first_index": count.first,
        "last_index": count.last,
        "filters": sorted(wanted.refs),
        "organisations": None if wanted.sight is None else sorted(wanted.sight),
        "since": None if wanted.since_ms is None else rfc3339(wanted.since_ms),
        "until": None if wanted.until_ms is None else rfc3339(wanted.until_ms),
        "start": wanted.start,
        "order": "newest" if wanted.newest else "oldest",
        "checkpoint": note,
    }
    return Export(file, length, digest.digest(), claims)


class _Counted:
    """Pages as they go by, counted."""

    def __init__(self, pages: Iterator[Sequence[Leaf]]) -> None:
        self._pages = pages
        self.leaves = 0
        self.first: int | None = None
        self.last: int | None = None

    def pages(self) -> Iterator[Sequence[Leaf]]:
        """Yield them; raises BadInput for too many."""
        for leaves in self._pages:
            self.leaves += len(leaves)
            if self.leaves > MAX_LEAVES:
                raise BadInput(
                    "export_too_large",
                    f"More than {MAX_LEAVES} entries are meant.",
                    hint="Narrow it with since and until, and export one part after the other.",
                    status=422,
                )
            if leaves:
                self.first = leaves[0].index if self.first is None else self.first
                self.last = leaves[-1].index
            yield leaves


def _pages(ledger: Ledger, wanted: Wanted, size: int) -> Iterator[Sequence[Leaf]]:
    """Yield what is wanted of the log's first `size` entries."""
    at: int | None = size - 1 if wanted.newest else None
    while True:
        found = ledger.db.read_now(
            partial(find, log_id=ledger.log_id, wanted=wanted, limit=PAGE, at=at)
        )
        yield [leaf for leaf in found.leaves if leaf.index < size]
        if found.next is None or found.next >= size:
            return
        at = found.next


def _row(leaf: Leaf) -> tuple[Any, ...]:
    return (
        leaf.index,
        rfc3339(leaf.time_ms),
        leaf.event_id,
        leaf.type,
        leaf.subject,
        leaf.consumer_id,
        leaf.provider_id,
        leaf.entry.decode(),
    )


def _write_jsonl(file: IO[bytes], pages: Iterator[Sequence[Leaf]]) -> None:
    for leaves in pages:
        file.writelines(leaf.entry + b"\n" for leaf in leaves)


def _write_csv(file: IO[bytes], pages: Iterator[Sequence[Leaf]]) -> None:
    file.write((",".join(COLUMNS) + "\r\n").encode())
    for leaves in pages:
        text = io.StringIO()
        csv.writer(text).writerows([[_cell(value) for value in _row(leaf)] for leaf in leaves])
        file.write(text.getvalue().encode())


def _cell(value: Any) -> Any:
    """Return a cell that a spreadsheet takes for text (OWASP: CSV injection)."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _write_parquet(file: IO[bytes], pages: Iterator[Sequence[Leaf]]) -> None:
    import pyarrow  # here, since it takes longer to load than the rest of the exchange
    import pyarrow.parquet as parquet

    types = [pyarrow.int64(), *[pyarrow.string()] * (len(COLUMNS) - 1)]
    schema = pyarrow.schema(list(zip(COLUMNS, types, strict=True)))
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for leaves in pages:
            columns = zip(*map(_row, leaves), strict=True) if leaves else [()] * len(COLUMNS)
            arrays = [pyarrow.array(c, t) for c, t in zip(columns, types, strict=True)]
            writer.write_table(pyarrow.table(arrays, schema=schema))


_WRITERS = {"jsonl": _write_jsonl, "csv": _write_csv, "parquet": _write_parquet}
