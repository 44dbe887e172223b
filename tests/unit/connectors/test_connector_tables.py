"""Schemas and first rows are read of sound tables; whatever else a file is costs little."""

import datetime
import decimal
import json
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, ipc, parquet

from connectors import read_table, tables
from connectors.files import FileSource
from connectors.gateway.source import SourceProblem
from connectors.tables import MOST_FILES, read_tables, table_format

ORG = "org_" + "1" * 26
ROWS = 2500
TABLE = pa.table(
    {
        "城市": pa.array(["上海", None] * (ROWS // 2)),
        "tonnes": pa.array(range(ROWS), pa.int64()),
        "rate": pa.array([0.5] * ROWS),
    },
    schema=pa.schema(
        [
            pa.field("城市", pa.string()),
            pa.field("tonnes", pa.int64(), nullable=False),
            pa.field("rate", pa.float64()),
        ]
    ),
)
FIRST = [["上海", 0, 0.5], [None, 1, 0.5]]


def arrow_file(table: pa.Table, path: Path) -> None:
    with ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def arrow_stream(table: pa.Table, path: Path) -> None:
    with ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


def json_lines(table: pa.Table, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


WRITERS = {
    "a.parquet": parquet.write_table,
    "a.arrow": arrow_file,
    "stream.arrow": arrow_stream,
    "a.CSV": csv.write_csv,
    "a.jsonl": json_lines,
    "b.ndjson": json_lines,
}


def peek(*paths: Path, rows: int = 0) -> list[tables.TableFile]:
    opened = [os.open(path, os.O_RDONLY) for path in paths]
    try:
        return read_tables([(fd, path.name) for fd, path in zip(opened, paths, strict=True)], rows)
    finally:
        for fd in opened:
            os.close(fd)


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_of_each_format(name: str, tmp_path: Path) -> None:
    WRITERS[name](TABLE, tmp_path / name)
    (found,) = peek(tmp_path / name, rows=2)
    assert found.name == name
    assert [column["name"] for column in found.columns] == ["城市", "tonnes", "rate"]
    assert [column["type"] for column in found.columns] == ["string", "int64", "double"]
    assert (found.column_count, found.row_count) == (3, ROWS)
    keeps = found.format in ("parquet", "arrow")  # text knows of no column that is never null
    assert [c["nullable"] for c in found.columns] == [True, not keeps, True]
    rows = [["", 1, 0.5] if name == "a.CSV" and row[0] is None else row for row in FIRST]
    assert found.sample == {"columns": ["城市", "tonnes", "rate"], "rows": rows}


def test_no_rows_are_read_that_nobody_asked_for(tmp_path: Path) -> None:
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    (found,) = peek(tmp_path / "a.parquet")
    assert found.sample is None


BROKEN = {
    "empty.parquet": b"",
    "noise.parquet": b"PAR1" + bytes(range(256)) * 20 + b"PAR1",
    "noise.arrow": b"ARROW1\0\0" + b"\xff" * 500,
    "empty.csv": b"",
    "ragged.csv": b"a,b\n1,2\n3\n",
    "latin.csv": b"caf\xe9,b\n1,2\n",
    "binary.csv": bytes(range(256)) * 50,
    "list.jsonl": b"[1, 2]\n",
    "open.jsonl": b'{"a": {"b": [',
    "deep.jsonl": b'{"a":' * 100_000,
}


def test_what_is_no_sound_table_has_no_schema(tmp_path: Path) -> None:
    """And keeps nobody from reading the ones beside it."""
    paths = [put(tmp_path, name, content) for name, content in BROKEN.items()]
    good = [put(tmp_path, name, "a\n1\n") for name in ("first.csv", "last.csv")]
    found = peek(good[0], *paths, good[1], rows=1)
    assert [each.name for each in found] == ["first.csv", "last.csv"]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_table_harms_nobody(data: st.DataObject, tmp_path: Path) -> None:
    paths = []
    for number, (name, write) in enumerate(sorted(WRITERS.items())):
        write(TABLE.slice(0, 20), tmp_path / name)
        content = bytearray((tmp_path / name).read_bytes())
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        paths.append(put(tmp_path, f"{number}-{name}", bytes(content)))
    last = put(tmp_path, "last.csv", "a\n1\n")
    assert peek(*paths, last, rows=5)[-1].name == "last.csv"


def test_what_is_long_is_cut(tmp_path: Path) -> None:
    many = read_table.MOST_COLUMNS + 7
    wide = pa.table({f"{n}-" + "x" * 500: ["y" * 1000] * 40 for n in range(many)})
    parquet.write_table(wide, tmp_path / "wide.parquet")
    (found,) = peek(tmp_path / "wide.parquet", rows=40)
    assert found.column_count == many
    assert len(found.columns) == read_table.MOST_COLUMNS
    assert all(len(column["name"]) <= read_table.NAME_CHARACTERS for column in found.columns)
    assert found.sample is not None
    assert len(json.dumps(found.sample["rows"])) <= read_table.SAMPLE_BYTES + 200
    assert 1 <= len(found.sample["rows"]) < 40
    assert len(found.sample["rows"][0]) == read_table.SAMPLE_COLUMNS
    assert len(found.sample["rows"][0][0]) == read_table.VALUE_CHARACTERS


def test_a_long_text_is_not_counted(tmp_path: Path) -> None:
    path = put(tmp_path, "long.csv", "a,b\n1,2\n")
    os.truncate(path, read_table.TEXT_BYTES + 1)
    with path.open("r+b") as file:
        file.write(b"a,b\n" + b"1,2\n" * (2 << 20))
    (found,) = peek(path, rows=1)
    assert found.row_count is None
    assert found.sample == {"columns": ["a", "b"], "rows": [[1, 2]]}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**53, str(2**53)),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (b"\x00\xff", "AP8="),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        ([1, [2, [3, [4, [5]]]]], [1, [2, [3, [4, "…"]]]]),
        (list(range(25)), [*range(20), "…"]),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        ("x" * 201, "x" * 199 + "…"),
        (True, True),
    ],
)
def test_a_value_as_json(value: object, shown: object) -> None:
    assert read_table._value(value, 0) == shown
    json.dumps(shown, allow_nan=False)


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(tables, "_PROGRAM", put(folder, "program.py", text))
    monkeypatch.setattr(tables, "SECONDS", 4.0)


ANSWER = {"columns": [], "column_count": 1, "row_count": 1, "sample": None}


def test_a_crash_costs_one_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As native code may crash: the process ends at the second file, and is started again."""
    text = f"""
import json, os, sys
for job in json.load(sys.stdin):
    if os.read(job["fd"], 5) == b"crash":
        os.write(1, b'{{"half')
        os.abort()
    print(json.dumps({ANSWER!r}), flush=True)
"""
    program(tmp_path, monkeypatch, text)
    names = ["a.csv", "b.csv", "c.csv"]
    paths = [put(tmp_path, n, "crash" if n == "b.csv" else "fine") for n in names]
    assert [each.name for each in peek(*paths)] == ["a.csv", "c.csv"]


def test_a_program_that_hangs_is_ended_and_what_it_said_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"""
import json, time
print(json.dumps({ANSWER!r}), flush=True)
time.sleep(600)
"""
    program(tmp_path, monkeypatch, text)
    monkeypatch.setattr(tables, "SECONDS", 1.0)
    began = time.monotonic()
    found = peek(put(tmp_path, "a.csv", "a"), put(tmp_path, "b.csv", "a"))
    assert [each.name for each in found] == ["a.csv"]
    assert time.monotonic() - began < 20


def test_the_program_gets_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_DATABASE_URL", "postgresql://someone:hunter2@host/name")
    text = "import json, os\n" + f"print(json.dumps({ANSWER!r} | dict(sample=dict(os.environ))))"
    program(tmp_path, monkeypatch, text)
    (found,) = peek(put(tmp_path, "a.csv", "a"))
    assert found.sample
    assert "hunter2" not in json.dumps(found.sample)
    assert "EXCHANGE_DATABASE_URL" not in found.sample


def test_formats_by_name() -> None:
    assert table_format("folder.csv/x.PARQUET") == "parquet"
    for name in ("a.bin", "csv", "a.csv.gz", "a.json", ".csv"):
        assert table_format(name) is None


async def test_a_source_reads_what_was_published_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / ORG / "set"
    folder.mkdir(parents=True)
    put(folder, "readme.md", "# x")
    for number in range(MOST_FILES + 3):
        put(folder, f"{number:02d}.csv", f"a\n{number}\n")
    source = FileSource(tmp_path)
    try:
        items = await source.describe(ORG, "set")
        found = await source.peek(ORG, {"path": "set"}, items, 1)
        assert [t.name for t in found] == [f"{n:02d}.csv" for n in range(MOST_FILES)]
        assert found[7].sample == {"columns": ["a"], "rows": [[7]]}
        put(folder, "03.csv", "a\nx\n")
        with pytest.raises(SourceProblem) as refused:
            await source.peek(ORG, {"path": "set"}, items, 1)
        assert refused.value.code == "object_changed"
        assert await source.peek(ORG, {"path": "set"}, items[-1:], 1) == []
    finally:
        source.close()
