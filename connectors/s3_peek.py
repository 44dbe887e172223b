"""Tables in a store, read from copies that last a moment: whole ones, or the two ends of big ones.

What is copied has no name and holes where nothing was fetched: a parquet file's schema and counts
are at its end, a text's first rows at its beginning. What would need the middle is left out by the
reader, as anything that it cannot read.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

from connectors.s3_bucket import Bucket, Stat
from connectors.s3_object import copy_range
from connectors.tables import TableFile, read_tables

WHOLE_BYTES: Final = 64 << 20
"""Largest object that is copied whole, which is also how long a text is to be counted."""

FRONT_BYTES: Final = 16 << 20
BACK_BYTES: Final = 4 << 20
ALL_BYTES: Final = 256 << 20
SECONDS: Final = 12.0


def peek_tables(
    bucket: Bucket, stats: Sequence[tuple[str, Stat]], rows: int, folder: Path | None
) -> list[TableFile]:
    """Read objects, given with their names, up to ALL_BYTES in SECONDS. Raises StoreProblem."""
    room, until = ALL_BYTES, time.monotonic() + SECONDS
    with ExitStack() as opened:
        files = []
        for name, stat in stats:
            spans = _spans(stat.size)
            room -= sum(last - first + 1 for first, last in spans)
            if room < 0:
                break
            file = opened.enter_context(tempfile.TemporaryFile(dir=folder))
            if not _copied(bucket, stat, spans, file, until):
                break
            files.append((file.fileno(), name))
        return read_tables(files, rows)


def _spans(size: int) -> list[tuple[int, int]]:
    if size <= WHOLE_BYTES:
        return [(0, size - 1)] if size else []
    return [(0, FRONT_BYTES - 1), (size - BACK_BYTES, size - 1)]


def _copied(
    bucket: Bucket, stat: Stat, spans: Sequence[tuple[int, int]], file: IO[bytes], until: float
) -> bool:
    """Copy some spans to where they were; False when there is no time for it."""

    def write(piece: bytes) -> None:
        if time.monotonic() > until:
            raise TimeoutError
        file.write(piece)

    file.truncate(stat.size)
    try:
        for first, last in spans:
            file.seek(first)
            copy_range(bucket, stat, first, last, write)
    except TimeoutError:
        return False
    file.flush()
    file.seek(0)
    return True
