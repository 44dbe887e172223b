"""S3 stores that end, hang or refuse in the middle: what was delivered is right, and goes on."""

import asyncio
import hashlib
import io
import os
import resource
from collections.abc import Iterator

import pytest
from minio import Minio

from connectors import s3_object
from connectors.gateway.source import SourceBroken, SourceProblem
from connectors.s3 import S3Source
from exchange.outward.allow import AllowList
from tests.support.s3 import STORES, MemoryConnections, Store, allows, connection_to
from tests.unit.connectors.served import ask, connect, exchange, read_head, read_on, serving, until
from tests.unit.connectors.world import (
    GRANT,
    PROVIDER,
    Issuer,
    MemoryDoor,
    app_of,
    delivery_of,
    url,
)

SIZE = 48 << 20
PATH = "flights/big.bin"


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in STORES],
)
def store(request) -> Iterator[Store]:
    with STORES[request.param]() as started:
        yield started


class Kept:
    """A big object in a bucket, and a source that is let in."""

    def __init__(self, store: Store) -> None:
        self.store, self.bucket, self.data = store, store.bucket(), os.urandom(SIZE)
        store.client().put_object(self.bucket, PATH, io.BytesIO(self.data), SIZE)
        self.connections = MemoryConnections()
        self.connection = self.connections.add(connection_to(store, self.bucket, PROVIDER))
        self.at = {"connector": "s3", "connection": self.connection.id, "path": PATH}
        self.source = S3Source(self.connections, allows(store))

    def change(self, **changes) -> None:
        rev = self.connection.rev + 1
        made = connection_to(self.store, self.bucket, PROVIDER, **({"rev": rev} | changes))
        self.connection = self.connections.add(made)

    async def item(self):
        (item,) = await self.source.describe(PROVIDER, self.at)
        return item


@pytest.fixture
def kept(store) -> Iterator[Kept]:
    made = Kept(store)
    yield made
    made.source.close()


async def problem(doing) -> SourceProblem:
    with pytest.raises(SourceProblem) as refused:
        await doing
    return refused.value


async def test_a_store_that_is_killed_breaks_the_reading_and_it_goes_on_later(kept, store) -> None:
    item = await kept.item()
    opened = await kept.source.open(PROVIDER, kept.at, item)
    got = b""
    with pytest.raises(SourceBroken):
        async for piece in opened.read(0, SIZE - 1):
            got += piece
            if len(got) >= s3_object.PIECE and store.process.poll() is None:
                store.kill()
    assert 0 < len(got) < SIZE
    assert kept.data.startswith(got)
    await opened.close()
    away = await problem(kept.source.open(PROVIDER, kept.at, item))
    assert (away.code, away.status, away.headers["Retry-After"]) == ("source_unavailable", 503, "1")
    found = await problem(kept.source.describe(PROVIDER, kept.at | {"path": "other"}))
    assert (found.code, found.status) == ("source_unavailable", 503)
    store.start()
    opened = await kept.source.open(PROVIDER, kept.at, item)
    rest = b"".join([piece async for piece in opened.read(len(got), SIZE - 1)])
    assert hashlib.sha256(got + rest).hexdigest() == item.sha256


def test_through_the_gateway_a_killed_store_is_a_cut_connection_and_a_range_goes_on(
    kept, store
) -> None:
    item = asyncio.run(kept.item())
    kept.source = S3Source(kept.connections, allows(store))  # of the server's own loop
    door, issuer = MemoryDoor({GRANT: delivery_of((item,), "s3", kept.at)}), Issuer()
    bearer = f"Authorization: Bearer {issuer.token()}"
    with serving(app_of(door, issuer, {"s3": kept.source})) as port:
        with connect(port) as connection:
            ask(connection, url("big.bin"), bearer)
            status, headers, got = read_head(connection)
            assert (status, headers["content-length"]) == (200, str(SIZE))
            got += read_on(connection, 1 << 20)
            store.kill()
            got += read_on(connection, SIZE)
        assert 0 < len(got) < SIZE, "broken off, never padded"
        until(lambda: door.ends)
        ((sent, complete),) = door.ends.values()
        assert not complete
        assert len(got) <= sent < SIZE
        status, answer = exchange(port, url("big.bin"), bearer)
        assert status == 503
        assert b"source_unavailable" in answer
        assert len(door.uses) == 1, "nothing is recorded of what cannot be delivered"
        store.start()
        status, answer = exchange(port, url("big.bin"), bearer, f"Range: bytes={len(got)}-")
        assert status == 206
        assert got + answer.partition(b"\r\n\r\n")[2] == kept.data


async def test_a_store_that_hangs_breaks_the_reading(kept, store, monkeypatch) -> None:
    monkeypatch.setattr("connectors.s3_pool.READ_SECONDS", 1.0)
    kept.change()
    item = await kept.item()
    opened = await kept.source.open(PROVIDER, kept.at, item)
    pieces = opened.read(0, SIZE - 1)
    await anext(pieces)
    store.pause()
    try:
        with pytest.raises(SourceBroken):
            async for _ in pieces:
                pass
        assert (await problem(kept.source.open(PROVIDER, kept.at, item))).status == 503
    finally:
        store.go_on()
    assert await kept.source.open(PROVIDER, kept.at, item)


async def test_an_object_replaced_while_it_is_read_is_not_mixed(kept, store) -> None:
    item = await kept.item()
    opened = await kept.source.open(PROVIDER, kept.at, item)
    other = os.urandom(SIZE)
    got = b""
    try:
        async for piece in opened.read(0, SIZE - 1):
            if not got:
                store.client().put_object(kept.bucket, PATH, io.BytesIO(other), SIZE)
            got += piece
    except SourceBroken:
        assert len(got) < SIZE
    assert kept.data.startswith(got), "what came is of what was published"
    with pytest.raises(SourceBroken):
        async for _ in opened.read(0, 9):
            pytest.fail("a byte of another content")


async def test_a_wrong_credential_is_said_without_being_shown(kept, store) -> None:
    item = await kept.item()
    keys = {"access_key": store.access_key, "secret_key": "wrong-" + "w" * 30}
    for secret in (keys, {"access_key": "nobody", "secret_key": "x" * 20}, {}):
        kept.change(secret=secret)
        described = await problem(kept.source.describe(PROVIDER, kept.at))
        opened = await problem(kept.source.open(PROVIDER, kept.at, item))
        assert (described.code, described.status) == ("credential_refused", 409)
        assert (opened.code, opened.status) == ("credential_refused", 503)
        text = f"{described.document()}{described!r}{opened.document()}{opened!r}"
        assert not any(value in text for value in secret.values())
    kept.change()
    assert await kept.source.open(PROVIDER, kept.at, item), "replaced, it lets one in again"


async def test_another_bucket_and_a_bucket_that_is_none(kept, store) -> None:
    item = await kept.item()
    kept.change(settings={"bucket": "nothing-here", "region": "us-east-1"})
    assert (await problem(kept.source.describe(PROVIDER, kept.at))).code == "source_not_found"
    assert (await problem(kept.source.open(PROVIDER, kept.at, item))).code == "object_changed"
    kept.change(settings={"bucket": store.bucket(), "region": "us-east-1"})
    assert (await problem(kept.source.open(PROVIDER, kept.at, item))).code == "object_changed"


async def test_an_address_that_is_not_allowed_is_not_connected_to(kept) -> None:
    item = await kept.item()
    closed = S3Source(kept.connections, AllowList("", public=True))
    assert (await problem(closed.describe(PROVIDER, kept.at))).code == "address_not_allowed"
    assert (await problem(closed.open(PROVIDER, kept.at, item))).code == "address_not_allowed"
    closed.close()


async def test_what_was_hashed_is_not_read_again(kept, monkeypatch) -> None:
    item = await kept.item()
    asked = []
    get = Minio.get_object
    monkeypatch.setattr(Minio, "get_object", lambda *a, **k: asked.append(k) or get(*a, **k))
    assert await kept.item() == item
    assert not asked
    kept.store.client().put_object(kept.bucket, PATH, io.BytesIO(b"other"), 5)
    assert (await kept.item()).sha256 == hashlib.sha256(b"other").hexdigest()
    assert len(asked) == 1


async def test_a_hash_asked_for_by_several_at_once_is_made_once(kept, monkeypatch) -> None:
    asked = []
    get = Minio.get_object
    monkeypatch.setattr(Minio, "get_object", lambda *a, **k: asked.append(k) or get(*a, **k))
    found = await asyncio.gather(*[kept.item() for _ in range(5)])
    assert len(set(found)) == len(asked) == 1


async def test_a_big_object_takes_little_memory(kept) -> None:
    item = await kept.item()
    opened = await kept.source.open(PROVIDER, kept.at, item)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    digest = hashlib.sha256()
    for _ in range(3):
        async for piece in opened.read(0, SIZE - 1):
            assert len(piece) <= s3_object.PIECE
            digest.update(piece)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < SIZE // 1024 // 2, "pieces, not the object, are in memory"
    await opened.close()


async def test_an_upload_is_put_whole_and_never_over_another(kept, store) -> None:
    from connectors.gateway.door import FileObject

    data = os.urandom(6 << 20)
    sha256 = hashlib.sha256(data).hexdigest()
    item = FileObject("new/up.bin", len(data), sha256, "application/octet-stream")

    async def put(content: bytes = data, said: FileObject = item):
        file = io.BytesIO(content)
        return await kept.source.store(PROVIDER, kept.connection.id, "new/up.bin", file, said)

    assert (await problem(put(data[:-1] + b"!"))).code in ("store_unfit", "credential_refused")
    assert (await problem(kept.source.describe(PROVIDER, kept.at | {"path": "new"}))).status == 404
    stored = await put()
    assert (stored.bytes, stored.sha256, bool(stored.tag)) == (len(data), sha256, True)
    assert await put() == stored, "the same again is answered alike"
    other = FileObject("new/up.bin", 5, hashlib.sha256(b"other").hexdigest(), "text/plain")
    assert (await problem(put(b"other", other))).code == "object_exists"
    found = store.client().get_object(kept.bucket, "new/up.bin").read()
    assert found == data


async def test_of_uploads_at_once_one_wins(kept, store) -> None:
    from connectors.gateway.door import FileObject

    async def put(n: int):
        data = bytes([n]) * 1000
        item = FileObject("race", 1000, hashlib.sha256(data).hexdigest(), "text/plain")
        return await kept.source.store(PROVIDER, kept.connection.id, "race", io.BytesIO(data), item)

    outcomes = await asyncio.gather(*[put(n) for n in range(8)], return_exceptions=True)
    won = [each for each in outcomes if isinstance(each, FileObject)]
    lost = [each for each in outcomes if isinstance(each, SourceProblem)]
    assert len(won) + len(lost) == 8
    found = store.client().get_object(kept.bucket, "race").read()
    assert hashlib.sha256(found).hexdigest() in {each.sha256 for each in won}
    assert len(won) == 1
