"""One suite over every source of data: files, and S3 as MinIO and as versitygw speak it."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.files import FileSource
from connectors.gateway.door import FileObject
from connectors.gateway.source import SourceProblem
from connectors.s3 import S3Source
from tests.support.s3 import STORES, MemoryConnections, Store, allows, connection_to
from tests.unit.connectors.world import (
    GRANT,
    PROVIDER,
    Issuer,
    MemoryDoor,
    app_of,
    delivery_of,
    url,
)

BIG = os.urandom((3 << 20) + 4321)
CONTENT = {
    "january.csv": bytes(range(256)) * 3000,
    "2013/二月.csv": "日期,延误\n".encode() * 50,
    "big.bin": BIG,
    "empty.txt": b"",
}
KINDS = [
    pytest.param("files"),
    *(pytest.param(name, marks=getattr(pytest.mark, name)) for name in STORES),
    *(
        pytest.param(f"{name}, versions", marks=getattr(pytest.mark, name), id=f"{name}-versions")
        for name in STORES
    ),
]


class Files:
    """A platform's files."""

    connector = "files"

    def __init__(self, root) -> None:
        self.root = root
        self.source = FileSource(root)
        (root / PROVIDER).mkdir()

    def at(self, path: str) -> dict:
        return {"connector": "files", "path": path}

    def put(self, path: str, data: bytes) -> None:
        file = self.root / PROVIDER / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def remove(self, path: str) -> None:
        (self.root / PROVIDER / path).unlink()

    async def describe(self, path: str) -> tuple[FileObject, ...]:
        return await self.source.describe(PROVIDER, path)


class Objects:
    """The same in a bucket of the platform's own."""

    connector = "s3"

    def __init__(self, store: Store, *, versions: bool) -> None:
        self.store, self.versions = store, versions
        self.bucket = store.bucket(versions=versions)
        self.connections = MemoryConnections()
        self.connection = self.connections.add(connection_to(store, self.bucket, PROVIDER))
        self.source = S3Source(self.connections, allows(store))

    def at(self, path: str) -> dict:
        return {"connector": "s3", "connection": self.connection.id, "path": path}

    def put(self, path: str, data: bytes) -> None:
        self.store.client().put_object(self.bucket, path, io.BytesIO(data), len(data))

    def remove(self, path: str) -> None:
        client = self.store.client()
        for each in client.list_objects(self.bucket, path, include_version=self.versions):
            client.remove_object(self.bucket, path, version_id=each.version_id)

    async def describe(self, path: str) -> tuple[FileObject, ...]:
        return await self.source.describe(PROVIDER, self.at(path))


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, Store]]:
    """The stores that were asked for, each started once."""
    started: dict[str, Store] = {}
    yield started
    for each in started.values():
        each.stop()


@pytest.fixture(params=KINDS)
async def place(request, tmp_path, stores) -> AsyncIterator[Files | Objects]:
    name, _, more = request.param.partition(", ")
    if name == "files":
        made: Files | Objects = Files(tmp_path)
    else:
        if name not in stores:
            stores[name] = STORES[name]().start()
        made = Objects(stores[name], versions=bool(more))
    yield made
    made.source.close()


@pytest.fixture
async def flights(place) -> tuple[FileObject, ...]:
    for name, data in CONTENT.items():
        place.put(f"flights/{name}", data)
    return await place.describe("flights")


@pytest.fixture
async def http(place, flights) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway's own routes over the source, for whoever holds the grant."""
    door, issuer = (
        MemoryDoor({GRANT: delivery_of(flights, place.connector, place.at("flights"))}),
        Issuer(),
    )
    app = app_of(door, issuer, {place.connector: place.source})
    headers = {"Authorization": f"Bearer {issuer.token()}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway.test", headers=headers
    ) as client:
        client.door = door  # type: ignore[attr-defined]
        yield client


async def code_of(doing) -> str:
    with pytest.raises(SourceProblem) as refused:
        await doing
    return refused.value.code


async def read(opened, first: int, last: int) -> bytes:
    return b"".join([piece async for piece in opened.read(first, last)])


def named(objects, name: str) -> FileObject:
    return next(item for item in objects if item.name == name)


async def test_a_folder_is_described_by_name_size_and_hash(place, flights) -> None:
    assert [item.name for item in flights] == sorted(CONTENT)
    for item in flights:
        data = CONTENT[item.name]
        assert (item.bytes, item.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert named(flights, "january.csv").media_type == "text/csv"
    if place.connector == "s3":
        assert all(item.tag for item in flights)
        assert all(bool(item.version_id) == place.versions for item in flights)
    assert await place.describe("flights") == flights, "the same again is described alike"


async def test_one_object_is_described_and_opened_by_its_last_name(place, flights) -> None:
    (item,) = await place.describe("flights/2013/二月.csv")
    assert item.name == "二月.csv"
    opened = await place.source.open(PROVIDER, place.at("flights/2013/二月.csv"), item)
    assert await read(opened, 0, item.bytes - 1) == CONTENT["2013/二月.csv"]
    await opened.close()


async def test_an_object_under_a_folder_of_its_own_name_is_found(place) -> None:
    place.put("a/a", b"inner")
    (item,) = await place.describe("a")
    assert item.name == "a"
    opened = await place.source.open(PROVIDER, place.at("a"), item)
    assert await read(opened, 0, 4) == b"inner"
    await opened.close()


async def test_what_is_not_to_be_published_is_refused_alike(place, flights) -> None:
    assert await code_of(place.describe("nothing")) == "source_not_found"
    assert await code_of(place.describe("fligh")) == "source_not_found"
    for bad in [
        "../flights",
        "/flights",
        "a/../flights",
        "flights//january.csv",
        "",
        "/",
        "x" * 2000,
    ]:
        assert await code_of(place.describe(bad)) == "path_refused"
    place.put("hidden/.secret", b"x")
    place.put("hidden/.git/config", b"x")
    assert await code_of(place.describe("hidden")) == "source_empty"
    place.put("hidden/seen", b"x")
    assert [item.name for item in await place.describe("hidden")] == ["seen"]
    place.put("odd/good", b"x")
    place.put("odd/with space", b"x")
    assert await code_of(place.describe("odd")) == "source_refused"


async def test_more_objects_than_an_offering_holds_are_refused(place, monkeypatch) -> None:
    for module in ("connectors.files", "connectors.s3"):
        monkeypatch.setattr(f"{module}.MAX_OBJECTS", 3)
    for n in range(4):
        place.put(f"many/{n}", b"x")
    assert await code_of(place.describe("many")) == "source_too_many"
    place.remove("many/3")
    assert len(await place.describe("many")) == 3


async def test_any_range_is_the_same_bytes_as_a_slice(place, flights) -> None:
    item = named(flights, "big.bin")
    opened = await place.source.open(PROVIDER, place.at("flights"), item)

    @settings(
        max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(ends=st.tuples(*[st.integers(0, len(BIG) - 1)] * 2))
    def check(ends) -> None:
        first, last = sorted(ends)
        found = asyncio.run_coroutine_threadsafe(read(opened, first, last), loop).result(30)
        assert found == BIG[first : last + 1]

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(check)
    for first, last in [(0, 0), (0, len(BIG) - 1), (len(BIG) - 1, len(BIG) - 1), (0, -1)]:
        assert await read(opened, first, last) == BIG[first : last + 1]
    await opened.close()
    await opened.close()


async def test_a_reader_may_leave_in_the_middle(place, flights) -> None:
    item = named(flights, "big.bin")
    opened = await place.source.open(PROVIDER, place.at("flights"), item)
    for _ in range(40):  # more than there are threads, were one kept each time
        pieces = opened.read(0, item.bytes - 1)
        assert BIG.startswith(await anext(pieces))
        await pieces.aclose()
    assert await read(opened, 5, 9) == BIG[5:10]
    await opened.close()


async def test_an_object_that_changed_is_not_delivered(place, flights) -> None:
    item = named(flights, "january.csv")
    if getattr(place, "versions", False):
        place.put("flights/january.csv", b"other")
        opened = await place.source.open(PROVIDER, place.at("flights"), item)
        kept = await read(opened, 0, item.bytes - 1)
        assert kept == CONTENT["january.csv"], "the version that was published is there still"
    else:
        place.put("flights/january.csv", b"!" + CONTENT["january.csv"][1:])
        opening = place.source.open(PROVIDER, place.at("flights"), item)
        assert await code_of(opening) == "object_changed"
    place.remove("flights/january.csv")
    opening = place.source.open(PROVIDER, place.at("flights"), item)
    assert await code_of(opening) == "object_changed"


async def test_tables_are_read_for_their_columns_and_first_rows(place) -> None:
    table = pa.table({"carrier": ["UA", "AA"], "delay": [2, 3]})
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer)
    place.put("tables/t.parquet", buffer.getvalue())
    place.put("tables/t.csv", b"a,b\n1,x\n2,y\n")
    place.put("tables/broken.parquet", b"PAR1 no table")
    place.put("tables/readme.txt", b"text")
    items = await place.describe("tables")
    found = {t.name: t for t in await place.source.peek(PROVIDER, place.at("tables"), items, 1)}
    assert set(found) == {"t.parquet", "t.csv"}
    assert found["t.parquet"].row_count == 2
    assert found["t.parquet"].sample == {"columns": ["carrier", "delay"], "rows": [["UA", 2]]}
    assert [column["name"] for column in found["t.csv"].columns] == ["a", "b"]


async def test_the_gateway_delivers_it_whole_and_by_ranges(http, flights) -> None:
    for item in flights:
        data = CONTENT[item.name]
        whole = await http.get(url(item.name))
        assert (whole.status_code, whole.content) == (200, data)
        assert whole.headers["etag"] == f'"{item.sha256}"'
        assert whole.headers["content-length"] == str(len(data))
        assert whole.headers["repr-digest"].startswith("sha-256=:")
        head = await http.head(url(item.name))
        for name in ("etag", "content-length", "repr-digest", "accept-ranges", "content-type"):
            assert head.headers[name] == whole.headers[name]
        assert head.content == b""
    part = await http.get(url("big.bin"), headers={"Range": "bytes=1048570-1048585"})
    assert (part.status_code, part.content) == (206, BIG[1048570:1048586])
    assert part.headers["content-range"] == f"bytes 1048570-1048585/{len(BIG)}"
    last = await http.get(url("big.bin"), headers={"Range": "bytes=-10"})
    assert last.content == BIG[-10:]
    beyond = await http.get(url("big.bin"), headers={"Range": f"bytes={len(BIG)}-"})
    assert beyond.status_code == 416
    tag = named(flights, "big.bin").sha256
    same = await http.get(url("big.bin"), headers={"If-None-Match": f'"{tag}"'})
    assert same.status_code == 304
    uses, ends = http.door.uses, http.door.ends
    assert len(uses) == len(flights) + 2, "no use but of what was delivered"
    assert all(complete for _, complete in ends.values())
    assert sum(sent for sent, _ in ends.values()) == sum(map(len, CONTENT.values())) + 26


async def test_the_gateway_refuses_what_changed_before_anything_is_recorded(
    http, place, flights
) -> None:
    place.remove("flights/big.bin")
    for ask in (http.get, http.head):
        gone = await ask(url("big.bin"))
        assert gone.status_code == 409
    assert not http.door.uses
    still = await http.get(url("january.csv"))
    assert still.content == CONTENT["january.csv"]
