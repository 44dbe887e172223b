"""Run as a program of its own: read schema, row count and first rows of open files, by pyarrow.

A file is whatever a platform uploaded, and what reads it is native code. So that happens in a
process with limits of memory and time, without the exchange's environment, and its end is nobody
else's. `connectors.tables` starts it: jobs come as JSON on standard input, one answer a line goes
to standard output, in the order of the jobs.
"""

import base64
import itertools
import json
import math
import os
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

MEMORY_BYTES = 3 << 30  # of address space: pyarrow's own code and a mapped file are in it
CPU_SECONDS = 20
TEXT_BYTES = 64 << 20  # a longer file of text is not read to its end: its rows are not counted
BLOCK_BYTES = 1 << 20
MOST_BATCHES = 10_000
MOST_COLUMNS = 500
SAMPLE_COLUMNS = 100
NAME_CHARACTERS = 200
VALUE_CHARACTERS = 200
MOST_INSIDE = 20
DEEPEST = 4
SAMPLE_BYTES = 64 << 10
EXACT = 2**53 - 1


def main() -> None:
    """Answer each job that standard input names."""
    limits = ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS))
    for limit, most in (*limits, (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(limit, (most, most))
    for job in json.load(sys.stdin):
        try:
            answer: Any = read(job)
        except Exception:  # no schema, whatever the reason
            answer = None
        print(json.dumps(answer), flush=True)  # noqa: T201


def read(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return one file's schema; None where it has no columns."""
    with os.fdopen(job["fd"], "rb") as file:
        schema, count, batches = READERS[job["format"]](file)
        if not len(schema):
            return None
        columns = [
            {"name": _cut(f.name, NAME_CHARACTERS), "type": _type(f.type), "nullable": f.nullable}
            for f in itertools.islice(schema, MOST_COLUMNS)
        ]
        answer: dict[str, Any] = {
            "columns": columns,
            "column_count": len(schema),
            "row_count": count,
            "sample": None,
        }
        if job["rows"]:
            try:
                answer["sample"] = _sample(batches, job["rows"])
            except Exception:  # what was counted stands
                answer["sample"] = None
    return answer


Read = tuple[Any, int | None, Iterator[Any]]


def _parquet(file: BinaryIO) -> Read:
    from pyarrow import parquet

    table = parquet.ParquetFile(file, buffer_size=BLOCK_BYTES)
    some = list(range(min(len(table.schema_arrow), SAMPLE_COLUMNS)))
    names = [table.schema_arrow.names[i] for i in some]

    def batches() -> Iterator[Any]:
        yield from table.iter_batches(batch_size=64, columns=names, use_threads=False)

    return table.schema_arrow, table.metadata.num_rows, batches()


def _arrow(file: BinaryIO) -> Read:
    from pyarrow import ArrowInvalid, ipc

    try:
        table = ipc.open_file(file)
    except ArrowInvalid:
        file.seek(0)
        return _arrow_stream(file)
    narrow = ipc.IpcReadOptions(included_fields=[0], use_threads=False)
    count = None
    if table.num_record_batches <= MOST_BATCHES and len(table.schema):
        counted = ipc.open_file(file, options=narrow)
        count = sum(counted.get_batch(n).num_rows for n in range(counted.num_record_batches))
    return table.schema, count, (table.get_batch(n) for n in range(table.num_record_batches))


def _arrow_stream(file: BinaryIO) -> Read:
    from pyarrow import ipc

    first = ipc.open_stream(file)
    count = 0
    kept: list[Any] = []
    for batch in itertools.islice(first, MOST_BATCHES):
        count += batch.num_rows
        if len(kept) < 50:
            kept.append(batch.slice(0, 50))
    return first.schema, count, iter(kept)


def _csv(file: BinaryIO) -> Read:
    from pyarrow import csv

    def reader() -> Any:
        file.seek(0)
        return csv.open_csv(
            file,
            read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            parse_options=csv.ParseOptions(newlines_in_values=True),
        )

    return _text(file, reader)


def _json_lines(file: BinaryIO) -> Read:
    from pyarrow import json as lines

    def reader() -> Any:
        file.seek(0)
        return lines.open_json(
            file, read_options=lines.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
        )

    return _text(file, reader)


def _text(file: BinaryIO, reader: Callable[[], Any]) -> Read:
    first = reader()
    batches = list(itertools.islice(first, 1))  # now: the next reader begins at the front again
    return first.schema, _counted(file, reader), iter(batches)


def _counted(file: BinaryIO, reader: Callable[[], Any]) -> int | None:
    """Count the rows of a text; None of a long one, or one that changes its form on the way."""
    from pyarrow import ArrowException

    if os.fstat(file.fileno()).st_size > TEXT_BYTES:
        return None
    try:
        return sum(int(batch.num_rows) for batch in reader())
    except ArrowException:
        return None


READERS = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "jsonl": _json_lines}


def _sample(batches: Iterator[Any], most: int) -> dict[str, Any] | None:
    rows: list[list[Any]] = []
    names: list[str] = []
    room = SAMPLE_BYTES
    for batch in batches:
        some = batch.select(range(min(batch.num_columns, SAMPLE_COLUMNS)))
        names = [_cut(name, NAME_CHARACTERS) for name in some.schema.names]
        columns = [column.to_pylist() for column in some.slice(0, most - len(rows)).columns]
        for values in zip(*columns, strict=True):
            row = [_value(value, 0) for value in values]
            room -= len(json.dumps(row))
            if room < 0:
                return {"columns": names, "rows": rows} if rows else None
            rows.append(row)
        if len(rows) >= most:
            break
    return {"columns": names, "rows": rows} if rows else None


def _value(value: Any, depth: int) -> Any:
    """Return a value as JSON: long ones cut, numbers that JSON's readers would bend as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _cut(value, VALUE_CHARACTERS)
    if isinstance(value, bytes):
        return _cut(base64.b64encode(value[:VALUE_CHARACTERS]).decode(), VALUE_CHARACTERS)
    if depth == DEEPEST:
        return "…"
    if isinstance(value, list | tuple):
        inside = [_value(each, depth + 1) for each in value[:MOST_INSIDE]]
        return [*inside, "…"] if len(value) > MOST_INSIDE else inside
    if isinstance(value, dict):
        some = itertools.islice(value.items(), MOST_INSIDE)
        return {_cut(str(k), NAME_CHARACTERS): _value(v, depth + 1) for k, v in some}
    written = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return _cut(written, VALUE_CHARACTERS)


def _type(kind: Any) -> str:
    return _cut(str(kind), NAME_CHARACTERS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


if __name__ == "__main__":
    main()
