"""Files are described by strict paths, and opened only as they were published."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import files as files_module
from connectors import hashing
from connectors.files import FileSource
from connectors.gateway.door import FileObject
from connectors.gateway.source import SourceBroken, SourceProblem
from connectors.objects import media_type
from connectors.paths import is_path, segments

ORG = "org_" + "1" * 26
GOOD = ["a", "2013/january.csv", "航班数据.parquet", "a-b_c.d.e", "x" * 255, "a/" * 15 + "a"]
BAD = [
    "", "/", "/etc/passwd", "a//b", "a/", "..", "../a", "a/../b", ".", "./a", ".hidden", "a/.git/b",
    "a\x00b", "a\nb", "a b", "a\\b", "C:x", "~root", "a%2fb", "x" * 256, "航" * 86, "a/" * 16 + "a",
    "x/" * 256 + "x", "cafe\u0301", "a\u202eb", "\ud800", "a*", "\u212a", "\u1100\u1161",
    "a:b", "é/..", "．．/a", "a\u2044b",
]  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    (tmp_path / ORG).mkdir()
    return FileSource(tmp_path)


def put(root: Path, name: str, data: bytes = b"data") -> Path:
    path = root / ORG / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def code_of(doing) -> str:
    with pytest.raises(SourceProblem) as refused:
        await doing
    return refused.value.code


def everything(root: Path) -> set[str]:
    return {str(p.relative_to(root / ORG)) for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("path", GOOD)
def test_paths_that_are_served(path: str) -> None:
    assert "/".join(segments(path)) == path


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_paths_that_are_refused(path: str) -> None:
    assert not is_path(path)


@given(st.text(st.sampled_from("./a\\ \x00é"), max_size=12))
def test_an_accepted_path_stays_below_its_folder(path: str) -> None:
    if is_path(path):
        assert os.path.normpath("/base/" + path) == "/base/" + path
        assert not any(part.startswith(".") for part in path.split("/"))


async def test_a_file_is_described(source: FileSource, tmp_path: Path) -> None:
    put(tmp_path, "raw/flights.parquet", b"abc" * 1_000_000)
    sha256 = hashlib.sha256(b"abc" * 1_000_000).hexdigest()
    assert await source.describe(ORG, "raw/flights.parquet") == (
        FileObject("flights.parquet", 3_000_000, sha256, "application/vnd.apache.parquet"),
    )


async def test_a_folder_is_described_by_name_without_hidden_files(
    source: FileSource, tmp_path: Path
) -> None:
    for name in ["d/b.csv", "d/a/x.json", "d/a/2", "d/空.txt", "d/.DS_Store", "d/.git/config"]:
        put(tmp_path, name)
    found = await source.describe(ORG, "d")
    assert [item.name for item in found] == ["a/2", "a/x.json", "b.csv", "空.txt"]
    assert {item.sha256 for item in found} == {hashlib.sha256(b"data").hexdigest()}


def test_media_types_do_not_depend_on_the_machine() -> None:
    assert media_type("A.CSV") == "text/csv"
    assert media_type("a.html") == "application/octet-stream"
    assert media_type("noending") == "application/octet-stream"


async def test_what_cannot_be_described_says_why(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "secret"
    outside.write_text("secret")
    for folder in ["links", "pipes", "odd", "empty", "nested"]:
        (tmp_path / ORG / folder).mkdir()
    (tmp_path / ORG / "links" / "a").symlink_to(outside)
    os.mkfifo(tmp_path / ORG / "pipes" / "a")
    (tmp_path / ORG / "odd" / "a b").write_text("x")
    (tmp_path / ORG / "nested" / "deep").mkdir()
    (tmp_path / ORG / "nested" / "deep" / os.fsdecode(b"\xff")).mkdir()
    (tmp_path / ORG / "via").symlink_to(tmp_path)
    for path, code in {
        "nothing": "source_not_found",
        "empty": "source_empty",
        "links": "source_refused",
        "links/a": "source_refused",
        "pipes": "source_refused",
        "pipes/a": "source_refused",
        "odd": "source_refused",
        "nested": "source_refused",
        "via": "source_refused",
        "via/secret": "source_refused",
        "../secret": "path_refused",
    }.items():
        assert await code_of(source.describe(ORG, path)) == code, path
    assert await code_of(source.describe("..", "secret")) == "path_refused"
    put(tmp_path, "many/1"), put(tmp_path, "many/2")
    monkeypatch.setattr(files_module, "MAX_OBJECTS", 1)
    assert await code_of(source.describe(ORG, "many")) == "source_too_many"


async def read_all(source: FileSource, path: str, item: FileObject) -> bytes:
    opened = await source.open(ORG, {"path": path}, item)
    try:
        return b"".join([piece async for piece in opened.read(0, item.bytes - 1)])
    finally:
        await opened.close()


async def test_what_was_described_can_be_read(source: FileSource, tmp_path: Path) -> None:
    for name in ["one.csv", "d/a/b.csv", "d/empty"]:
        put(tmp_path, name, b"" if name.endswith("empty") else name.encode())
    for path in ["one.csv", "d"]:
        for item in await source.describe(ORG, path):
            data = await read_all(source, path, item)
            assert hashlib.sha256(data).hexdigest() == item.sha256
            assert len(data) == item.bytes


def replace_same_size_and_times(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"DATA")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "alter",
    [
        replace_same_size_and_times, by_link, by_folder, by_pipe, Path.unlink,
        lambda path: path.write_bytes(b"longer than it was"), lambda path: path.write_bytes(b""),
    ],
    ids=["same_size_and_times", "link", "folder", "pipe", "removed", "longer", "emptied"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["d/a.csv", "d"])
async def test_what_is_no_longer_what_was_published_is_not_opened(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alter, path: str
) -> None:
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)  # hashes are remembered at once
    file = put(tmp_path, "d/a.csv")
    put(tmp_path, "d/b.csv")
    item = (await source.describe(ORG, path))[0]
    assert await read_all(source, path, item) == b"data"
    time.sleep(0.02)  # longer than a tick of the file system's clock
    alter(file)
    assert await code_of(source.open(ORG, {"path": path}, item)) == "object_changed"


async def test_a_fresh_file_is_hashed_again_and_a_settled_one_is_not(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, "a.csv")
    (item,) = await source.describe(ORG, "a.csv")
    reads = []
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *a: reads.append(a) or real(*a))
    assert await read_all(source, "a.csv", item) == b"data"
    assert reads
    monkeypatch.setattr(hashing, "_SETTLED_NS", 0)
    await source.describe(ORG, "a.csv")
    reads.clear()
    assert await read_all(source, "a.csv", item) == b"data"
    assert not reads
    time.sleep(0.02)
    os.utime(file)
    assert await read_all(source, "a.csv", item) == b"data"
    assert reads


async def test_a_file_that_changes_while_it_is_hashed_is_neither_described_nor_opened(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, "a.csv", b"x" * (3 << 20))
    (item,) = await source.describe(ORG, "a.csv")
    real = os.preadv

    def meddled(*asked):
        count = real(*asked)
        time.sleep(0.01)
        with file.open("r+b") as handle:  # what was hashed already
            handle.write(b"y")
        return count

    monkeypatch.setattr(os, "preadv", meddled)
    assert await code_of(source.describe(ORG, "a.csv")) == "object_changed"
    file.write_bytes(b"x" * (3 << 20))
    assert await code_of(source.open(ORG, {"path": "a.csv"}, item)) == "object_changed"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_spans_are_read_exactly(tmp_path: Path, data: st.DataObject) -> None:
    content = bytes(range(256)) * 4096  # four pieces
    put(tmp_path, "big", content)
    first = data.draw(st.integers(0, len(content) - 1))
    last = data.draw(st.integers(first, len(content) - 1))

    async def check() -> None:
        source = FileSource(tmp_path)
        (item,) = await source.describe(ORG, "big")
        opened = await source.open(ORG, {"path": "big"}, item)
        got = b"".join([piece async for piece in opened.read(first, last)])
        await opened.close()
        source.close()
        assert got == content[first : last + 1]

    asyncio.run(check())


@pytest.mark.parametrize("harm", ["truncate", "overwrite"])
async def test_a_file_that_changes_while_it_is_read_breaks_off(
    source: FileSource, tmp_path: Path, harm: str
) -> None:
    file = put(tmp_path, "big", b"x" * (files_module.PIECE * 6))
    (item,) = await source.describe(ORG, "big")
    opened = await source.open(ORG, {"path": "big"}, item)
    got = 0
    with pytest.raises(SourceBroken):
        async for piece in opened.read(0, item.bytes - 1):
            if not got:
                time.sleep(0.02)
                with file.open("r+b") as handle:
                    if harm == "truncate":
                        handle.truncate(files_module.PIECE * 3)
                    else:
                        handle.seek(files_module.PIECE * 5)
                        handle.write(b"y")
            got += len(piece)
    await opened.close()
    assert 0 < got < item.bytes
