"""Uploads in several requests: gone on with after cuts and restarts, published whole or not."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors import partial
from connectors.files import FileSource
from connectors.gateway.source import SourceProblem
from connectors.resumable import ResumableUploads
from connectors.upload import FORGOTTEN_SECONDS

ORG = "org_" + "1" * 26
OTHER = "org_" + "2" * 26
DATA = os.urandom(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def uploads_on(root: Path, limit: int = 1 << 20) -> ResumableUploads:
    """What one worker has; another call is another worker, or the same after a restart."""
    return ResumableUploads(root, FileSource(root), None, limit)


@pytest.fixture
def uploads(tmp_path: Path) -> ResumableUploads:
    return uploads_on(tmp_path)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def cut(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    raise ConnectionResetError


async def problem(doing) -> SourceProblem:
    with pytest.raises(SourceProblem) as refused:
        await doing
    return refused.value


def everything(root: Path) -> set[str]:
    return {str(p.relative_to(root / ORG)) for p in root.rglob("*") if p.is_file()}


async def test_what_was_cut_goes_on_at_another_worker(uploads, tmp_path) -> None:
    begun = await uploads.begin(ORG, "2014/flights.csv", len(DATA), SHA256, None)
    with pytest.raises(ConnectionResetError):
        await uploads.append(ORG, begun.id, 0, cut(DATA[:70_000], DATA[70_000:100_000]))
    uploads.close()
    other = uploads_on(tmp_path)
    found = await other.look(ORG, begun.id)
    assert (found.offset, found.bytes, found.name) == (100_000, len(DATA), "2014/flights.csv")
    assert not (tmp_path / ORG / "2014").exists(), "nothing is published before it is whole"
    now = await other.append(ORG, begun.id, 100_000, chunks(DATA[100_000:]))
    assert now.offset == len(DATA)
    done = await uploads_on(tmp_path).complete(ORG, begun.id)
    assert (done.name, done.bytes, done.sha256) == ("2014/flights.csv", len(DATA), SHA256)
    assert done.media_type == "text/csv"
    assert (tmp_path / ORG / "2014" / "flights.csv").read_bytes() == DATA
    assert await other.complete(ORG, begun.id) == done, "a lost answer is asked for again"
    assert await other.unfinished(ORG) == []
    assert everything(tmp_path) == {"2014/flights.csv", f".incoming/{begun.id}.json"}
    await other.drop(ORG, begun.id)
    assert everything(tmp_path) == {"2014/flights.csv"}, "what it became stays"


async def test_offsets_must_fit_and_say_where_to_go_on(uploads) -> None:
    begun = await uploads.begin(ORG, "a", 10, None, None)
    await uploads.append(ORG, begun.id, 0, chunks(b"12345"))
    for wrong in (0, 4, 6, 10, 11, 2**53):
        refused = await problem(uploads.append(ORG, begun.id, wrong, chunks(b"x")))
        assert (refused.code, refused.status) == ("offset_mismatch", 409)
        assert refused.headers["Upload-Offset"] == "5"
    refused = await problem(uploads.complete(ORG, begun.id))
    assert (refused.code, refused.headers["Upload-Offset"]) == ("upload_incomplete", "5")
    refused = await problem(uploads.append(ORG, begun.id, 5, chunks(b"678", b"90x")))
    assert (refused.code, refused.status) == ("upload_too_long", 413)
    assert (await uploads.complete(ORG, begun.id)).sha256 == hashlib.sha256(
        b"1234567890"
    ).hexdigest()
    refused = await problem(uploads.append(ORG, begun.id, 10, chunks(b"")))
    assert refused.code == "upload_complete"


async def test_another_content_than_was_announced_is_dropped(uploads, tmp_path) -> None:
    begun = await uploads.begin(ORG, "a", len(DATA), SHA256, None)
    await uploads.append(ORG, begun.id, 0, chunks(DATA[:-1] + bytes([DATA[-1] ^ 1])))
    refused = await problem(uploads.complete(ORG, begun.id))
    assert (refused.code, refused.status) == ("checksum_mismatch", 422)
    assert (await problem(uploads.look(ORG, begun.id))).code == "upload_unknown"
    assert everything(tmp_path) == set()


async def test_nothing_is_overwritten(uploads, tmp_path) -> None:
    ids = []
    for content in (b"one", b"one", b"two"):
        begun = await uploads.begin(ORG, "a", 3, None, None)
        await uploads.append(ORG, begun.id, 0, chunks(content))
        ids.append(begun.id)
    first = await uploads.complete(ORG, ids[0])
    assert await uploads.complete(ORG, ids[1]) == first
    assert (await problem(uploads.complete(ORG, ids[2]))).code == "object_exists"
    assert (tmp_path / ORG / "a").read_bytes() == b"one"
    assert (await uploads.look(ORG, ids[2])).offset == 3, "it may be given up, not lost"


async def test_of_two_writers_at_once_one_waits(uploads, tmp_path) -> None:
    begun = await uploads.begin(ORG, "a", 10, None, None)
    going = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"12345"
        going.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(uploads.append(ORG, begun.id, 0, slow()))
    await going.wait()
    other = uploads_on(tmp_path)
    for doing in (
        other.append(ORG, begun.id, 5, chunks(b"x")),
        other.complete(ORG, begun.id),
        other.drop(ORG, begun.id),
    ):
        refused = await problem(doing)
        assert (refused.code, refused.status) == ("upload_busy", 409)
        assert refused.headers["Retry-After"] == "1"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await other.append(ORG, begun.id, 5, chunks(b"67890"))).offset == 10


async def test_a_published_file_is_not_written_to_through_its_upload(uploads, tmp_path) -> None:
    """Killed between giving the name and remembering it: both names are of one file."""
    begun = await uploads.begin(ORG, "a", 3, None, None)
    await uploads.append(ORG, begun.id, 0, chunks(b"one"))
    os.link(tmp_path / ORG / ".incoming" / begun.id, tmp_path / ORG / "a")
    await problem(uploads.append(ORG, begun.id, 3, chunks(b"more")))
    await problem(uploads.append(ORG, begun.id, 0, chunks(b"two")))
    assert (tmp_path / ORG / "a").read_bytes() == b"one"
    assert (await uploads.complete(ORG, begun.id)).bytes == 3


async def test_uploads_of_others_are_unknown(uploads) -> None:
    begun = await uploads.begin(ORG, "a", 3, None, None)
    for bad in (begun.id, "upl_" + "0" * 32, "../a", "upl_" + "g" * 32, begun.id + "/x", ""):
        org = OTHER if bad == begun.id else ORG
        for doing in (
            uploads.look(org, bad),
            uploads.append(org, bad, 0, chunks(b"x")),
            uploads.complete(org, bad),
            uploads.drop(org, bad),
        ):
            refused = await problem(doing)
            assert (refused.code, refused.status) == ("upload_unknown", 404)
    assert (await problem(uploads.look("../x", begun.id))).code == "path_refused"


async def test_limits(uploads, monkeypatch) -> None:
    assert (await problem(uploads.begin(ORG, "a", (1 << 20) + 1, None, None))).status == 413
    assert (await problem(uploads.begin(ORG, "../a", 1, None, None))).code == "path_refused"
    assert (await problem(uploads.begin(ORG, ".incoming/a", 1, None, None))).code == "path_refused"
    assert (await problem(uploads.begin(ORG, "a", 1, None, "con_1"))).code == "connection_unknown"
    monkeypatch.setattr(partial, "MOST_UNFINISHED", 2)
    first = await uploads.begin(ORG, "a", 1, None, None)
    await uploads.begin(ORG, "b", 1, None, None)
    assert (await problem(uploads.begin(ORG, "c", 1, None, None))).code == "uploads_too_many"
    await uploads.drop(ORG, first.id)
    assert await uploads.begin(ORG, "c", 1, None, None)
    assert {each.name for each in await uploads.unfinished(ORG)} == {"b", "c"}


async def test_what_nobody_went_on_with_is_swept_away(uploads, tmp_path) -> None:
    old, young = [await uploads.begin(ORG, name, 3, None, None) for name in ("old", "young")]
    long_ago = time.time() - FORGOTTEN_SECONDS - 60
    for each in (old, young):
        for name in (each.id, f"{each.id}.json"):
            os.utime(tmp_path / ORG / ".incoming" / name, (long_ago, long_ago))
    now = await uploads.append(ORG, young.id, 0, chunks(b"x"))
    assert now.expires_ms > time.time() * 1000 + FORGOTTEN_SECONDS * 900
    await uploads.sweep()
    assert everything(tmp_path) == {f".incoming/{young.id}", f".incoming/{young.id}.json"}
    assert (await problem(uploads.look(ORG, old.id))).code == "upload_unknown"


async def test_an_empty_upload_is_one(uploads, tmp_path) -> None:
    begun = await uploads.begin(ORG, "empty", 0, hashlib.sha256(b"").hexdigest(), None)
    assert (await uploads.complete(ORG, begun.id)).bytes == 0
    assert (tmp_path / ORG / "empty").read_bytes() == b""
