"""Uploads are taken in whole and durable or not at all, and nothing is overwritten."""

import asyncio
import hashlib
import os
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors import upload
from connectors.files import FileSource
from connectors.gateway.door import FileObject
from connectors.gateway.source import SourceProblem

ORG = "org_" + "1" * 26


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


async def test_an_upload_appears_whole_durable_and_described(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append(os.fstat(fd).st_ino) or fsync(fd))
    monkeypatch.setattr(os, "link", lambda *a, **k: steps.append("link") or link(*a, **k))

    async def slow() -> AsyncIterator[bytes]:
        yield b"one"
        assert not (tmp_path / ORG / "new" / "数据.csv").exists()
        yield b""
        steps.clear()
        yield b"two"

    item = await source.store(ORG, "new/数据.csv", slow(), 6)
    assert item == FileObject("new/数据.csv", 6, hashlib.sha256(b"onetwo").hexdigest(), "text/csv")
    assert everything(tmp_path) == {"new/数据.csv"}
    at, file = steps.index("link"), tmp_path / ORG / "new" / "数据.csv"
    assert file.stat().st_ino in steps[:at], "content is on disk before it has a name"
    assert file.parent.stat().st_ino in steps[at:], "the name is on disk before the answer"
    (described,) = await source.describe(ORG, "new/数据.csv")
    assert (described.bytes, described.sha256) == (item.bytes, item.sha256)


async def test_an_upload_that_fails_leaves_nothing(source: FileSource, tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError

    assert await code_of(source.store(ORG, "a", chunks(b"123", b"4567"), 6)) == "object_too_large"
    with pytest.raises(ConnectionResetError):
        await source.store(ORG, "a", breaks(), 100)
    for bad in ["../a", ".a", "a/../../b", "/a"]:
        assert await code_of(source.store(ORG, bad, chunks(b"x"), 9)) == "path_refused"
    assert await code_of(source.store("../x", "a", chunks(b"x"), 9)) == "path_refused"
    assert everything(tmp_path) == set()


async def test_an_upload_that_is_cancelled_leaves_nothing(
    source: FileSource, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield b"some"
        begun.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(source.store(ORG, "a", hangs(), 100))
    await begun.wait()
    assert everything(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert everything(tmp_path) == set()


async def test_a_full_disk_is_said_and_leaves_nothing(source: FileSource, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, hard))
    try:
        doing = source.store(ORG, "a", chunks(*[b"x" * (1 << 20)] * 9), 1 << 30)
        assert await code_of(doing) == "storage_full"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(tmp_path) == set()


async def test_nothing_is_overwritten_and_the_same_again_is_fine(
    source: FileSource, tmp_path: Path
) -> None:
    first = await source.store(ORG, "a", chunks(b"one"), 9)
    assert await source.store(ORG, "a", chunks(b"o", b"ne"), 9) == first
    assert await code_of(source.store(ORG, "a", chunks(b"two"), 9)) == "object_exists"
    assert await code_of(source.store(ORG, "a/b", chunks(b"two"), 9)) == "source_refused"
    assert (tmp_path / ORG / "a").read_bytes() == b"one"
    assert everything(tmp_path) == {"a"}


async def test_of_uploads_at_once_one_wins(source: FileSource, tmp_path: Path) -> None:
    contents = [bytes([65 + n]) * 1000 for n in range(8)]
    doing = [source.store(ORG, "a", chunks(each), 5000) for each in contents]
    outcomes = await asyncio.gather(*doing, return_exceptions=True)
    won = [each for each in outcomes if isinstance(each, FileObject)]
    assert len(won) == 1
    assert {each.code for each in outcomes if isinstance(each, SourceProblem)} == {"object_exists"}
    data = (tmp_path / ORG / "a").read_bytes()
    assert hashlib.sha256(data).hexdigest() == won[0].sha256


async def test_what_a_killed_program_left_is_swept_away(source: FileSource, tmp_path: Path) -> None:
    for name, age in {"old": upload.FORGOTTEN_SECONDS + 60, "young": 60}.items():
        left = put(tmp_path, f".incoming/{name}")
        os.utime(left, (time.time() - age, time.time() - age))
    await source.store(ORG, "a", chunks(b"x"), 9)
    assert everything(tmp_path) == {"a", ".incoming/young"}
