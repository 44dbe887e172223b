"""Schemas and first rows of files that hold tables, read by a process of its own, within bounds."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

MOST_FILES: Final = 20
"""Most files of one offering that are read; the others have no schema."""

SECONDS: Final = 12.0
"""Longest time for all of them; what has not been read by then has no schema."""

_PROGRAM: Final = Path(__file__).with_name("read_table.py")
_FORMATS: Final = {
    ".arrow": "arrow",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
# One thread, and nothing of the exchange's environment, which may hold secrets.
_ENVIRONMENT: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
log_to = logging.getLogger("connectors.tables")


@dataclass(frozen=True, slots=True)
class TableFile:
    """What was read of one file.

    `columns` are `{name, type, nullable}` with pyarrow's names of types, at most 500 of
    `column_count`; `row_count` is None where the file was too long to count. `sample` is
    `{columns, rows}`, rows as lists of JSON values, or None.
    """

    name: str
    format: str
    columns: list[dict[str, Any]]
    column_count: int
    row_count: int | None
    sample: dict[str, Any] | None


def table_format(name: str) -> str | None:
    """Tell by a name's ending which kind of table a file holds; None for no table."""
    return _FORMATS.get(PurePosixPath(name).suffix.lower())


def read_tables(files: Sequence[tuple[int, str]], rows: int) -> list[TableFile]:
    """Read open files, given with their names; those that hold no sound table are left out.

    `rows` is how many to take along, 0 for none. Blocks for SECONDS at most; never raises for
    what a file holds.
    """
    jobs = [(fd, name, kind) for fd, name in files if (kind := table_format(name))]
    until = time.monotonic() + SECONDS
    answers: list[Any] = []
    while len(answers) < len(jobs) and (left := until - time.monotonic()) > 0:
        rest = jobs[len(answers) :]
        answers += _run(rest, rows, left)[: len(rest)]
        if len(answers) < len(jobs):
            answers.append(None)  # the file at which it ended
    found = zip(jobs, answers, strict=False)
    return [TableFile(name=name, format=kind, **a) for (_, name, kind), a in found if a]


def _run(jobs: Sequence[tuple[int, str, str]], rows: int, seconds: float) -> list[Any]:
    """Return the answers that the program gave before it ended, or was ended."""
    asked = json.dumps([{"fd": fd, "format": kind, "rows": rows} for fd, _, kind in jobs])
    process = subprocess.Popen(
        [sys.executable, "-I", str(_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=[fd for fd, _, _ in jobs],
        env=dict(_ENVIRONMENT),
        cwd="/",
    )
    with process:
        try:
            said, _ = process.communicate(asked.encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        log_to.warning("table_not_read", extra={"returncode": process.returncode})
    whole = said.split(b"\n")[:-1]  # a line without its end was cut off
    return [json.loads(line) for line in whole]
