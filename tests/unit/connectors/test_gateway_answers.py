"""The gateway answers as RFC 9110 says, and every delivery is recorded before its first byte."""

import asyncio
import base64
import hashlib
import time
from pathlib import Path

import httpx
import pytest

from tests.unit.connectors.world import AUDIENCE, GRANT, World, make_world, named, url

FEBRUARY = "2013/%E4%BA%8C%E6%9C%88.csv"


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    return document["type"].removeprefix("urn:exchange:problem:")


async def test_the_list_says_what_may_be_fetched(world: World, http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/gateway/grants/{GRANT}", headers=world.bearer())
    assert answer.status_code == 200
    listed = answer.json()
    assert listed["obligations"] == {"days": 30, "sessions": 5}
    assert listed["ends_at"].endswith("Z")
    assert [item["name"] for item in listed["objects"]] == sorted(world.content)
    for item in listed["objects"]:
        data = world.content[item["name"]]
        assert (item["bytes"], item["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert item["url"].startswith(f"{AUDIENCE}/grants/{GRANT}/files/")
        fetched = await http.get(item["url"], headers=world.bearer())
        assert fetched.content == data
    assert len(world.door.uses) == len(world.content), "listing is not a use, fetching is"


async def test_a_whole_object(world: World, http: httpx.AsyncClient) -> None:
    data = world.content["2013/二月.csv"]
    answer = await http.get(url(FEBRUARY), headers=world.bearer())
    assert (answer.status_code, answer.content) == (200, data)
    digest = hashlib.sha256(data)
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert (
        answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    )
    assert answer.headers["content-length"] == str(len(data))
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache, no-transform"
    assert (
        answer.headers["content-disposition"]
        == "attachment; filename=\"__.csv\"; filename*=UTF-8''%E4%BA%8C%E6%9C%88.csv"
    )
    (use,) = world.door.uses.values()
    assert (use.object_name, use.object_version) == ("2013/二月.csv", digest.hexdigest())
    assert (use.first_byte, use.last_byte, use.method, use.rev) == (0, len(data) - 1, "GET", 7)
    assert list(world.door.ends.values()) == [(len(data), True)]


async def test_an_empty_object(world: World, http: httpx.AsyncClient) -> None:
    answer = await http.get(url("empty.txt"), headers=world.bearer())
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "0"
    (use,) = world.door.uses.values()
    assert (use.first_byte, use.last_byte) == (0, -1)
    ranged = await http.get(url("empty.txt"), headers={**world.bearer(), "Range": "bytes=0-"})
    assert (ranged.status_code, ranged.headers["content-range"]) == (416, "bytes */0")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5-9", 5, 9), ("bytes=767990-", 767990, 767999),
     ("bytes=-3", 767997, 767999), ("bytes=0-99999999999999999999999", 0, 767999)],
)  # fmt: skip
async def test_a_range(
    world: World, http: httpx.AsyncClient, asked: str, first: int, last: int
) -> None:
    answer = await http.get(url(), headers={**world.bearer(), "Range": asked})
    data = world.content["january.csv"]
    assert answer.status_code == 206
    assert answer.content == data[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(data)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    (use,) = world.door.uses.values()
    assert (use.first_byte, use.last_byte) == (first, last)
    assert list(world.door.ends.values()) == [(last - first + 1, True)]


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=", "x", "bytes=0-1\t"]
)
async def test_a_range_that_is_not_one_gives_the_whole(
    world: World, http: httpx.AsyncClient, asked: str
) -> None:
    answer = await http.get(url(), headers={**world.bearer(), "Range": asked})
    assert (answer.status_code, answer.content) == (200, world.content["january.csv"])


async def test_a_range_outside_is_refused_and_costs_nothing(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.get(url(), headers={**world.bearer(), "Range": "bytes=768000-"})
    assert (answer.status_code, code(answer)) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */768000"
    assert not world.door.uses


async def test_conditions(world: World, http: httpx.AsyncClient) -> None:
    mine = f'"{named(world, "january.csv").sha256}"'
    unchanged = await http.get(url(), headers={**world.bearer(), "If-None-Match": mine})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == mine
    other = await http.get(url(), headers={**world.bearer(), "If-Match": '"other"'})
    assert (other.status_code, code(other)) == (412, "precondition_failed")
    assert not world.door.uses, "no data, no use"
    resumed = await http.get(
        url(), headers={**world.bearer(), "If-Range": mine, "Range": "bytes=5-6"}
    )
    assert (resumed.status_code, resumed.content) == (206, b"\x05\x06")
    changed = await http.get(
        url(), headers={**world.bearer(), "If-Range": '"other"', "Range": "bytes=5-6"}
    )
    assert (changed.status_code, changed.content) == (200, world.content["january.csv"])


async def test_head_tells_all_that_get_tells_and_is_no_use(
    world: World, http: httpx.AsyncClient
) -> None:
    head = await http.head(url(), headers={**world.bearer(), "Range": "bytes=1-2"})
    assert (head.status_code, head.content) == (200, b"")
    assert not world.door.uses
    get = await http.get(url(), headers=world.bearer())
    assert dict(head.headers) == dict(get.headers)
    world.door.change(status="suspended")
    refused = await http.head(url(), headers=world.bearer())
    assert refused.status_code == 403


async def deliver(world: World, receive, send) -> None:
    """One GET, with the server's side of ASGI in the test's hands."""
    headers = [(b"authorization", f"Bearer {world.issuer.token()}".encode())]
    scope = {
        "type": "http", "method": "GET", "path": url(), "headers": headers, "query_string": b"",
    }  # fmt: skip
    await world.app(scope, receive, send)


async def test_the_use_is_recorded_before_anything_is_sent(world: World) -> None:
    seen = []

    async def send(message) -> None:
        seen.append((message["type"], len(world.door.uses)))

    world.door.before_record = lambda: seen.append(("record", len(world.door.uses)))
    await deliver(world, lambda: asyncio.sleep(60), send)
    assert seen[0] == ("record", 0)
    assert seen[1] == ("http.response.start", 1)
    assert len(seen) > 3


async def test_a_reader_that_leaves_before_the_last_piece_is_out_did_not_get_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, sent, opened = asyncio.Event(), [], []

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message.get("body"))
        if sent[-1] == b"":  # the server waits for its buffer here, and the connection breaks
            gone.set()

    real = world.files.open

    async def watched(*asked):
        opened.append(await real(*asked))
        return opened[-1]

    monkeypatch.setattr(world.files, "open", watched)
    await deliver(world, receive, send)
    assert b"".join(sent[1:]) == world.content["january.csv"]
    assert world.door.ends == {"use_0": (768000, False)}
    assert [each._file.closed for each in opened] == [True]


@pytest.mark.parametrize("part", ["look_up", "record"])
async def test_without_the_exchange_nothing_is_delivered(
    world: World, http: httpx.AsyncClient, part: str
) -> None:
    world.door.away.add(part)
    answer = await http.get(url(), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (503, "exchange_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert not world.door.uses


async def test_a_lost_end_does_not_harm_the_delivery(world: World, http: httpx.AsyncClient) -> None:
    world.door.away.add("finished")
    answer = await http.get(url(), headers=world.bearer())
    assert (answer.status_code, answer.content) == (200, world.content["january.csv"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "suspended"}, "grant_suspended"),
        ({"status": "revoked"}, "grant_revoked"),
        ({"status": "ended"}, "grant_ended"),
        ({"ends_ms": int(time.time() * 1000) - 1}, "grant_ended"),
    ],
)
async def test_a_grant_that_does_not_stand_says_so(
    world: World, http: httpx.AsyncClient, changes, expected: str
) -> None:
    world.door.change(**changes)
    for address in [url(), f"/gateway/grants/{GRANT}"]:
        answer = await http.get(address, headers=world.bearer())
        assert (answer.status_code, code(answer)) == (403, expected)
        assert answer.json()["hint"]
    assert not world.door.uses


async def test_sessions_that_are_used_up(world: World, http: httpx.AsyncClient) -> None:
    world.door.sessions_left = 1
    assert (await http.get(url(), headers=world.bearer())).status_code == 200
    answer = await http.get(url(), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (403, "sessions_exhausted")
    assert "Renew the grant" in answer.json()["hint"]


async def test_what_is_not_there(world: World, http: httpx.AsyncClient) -> None:
    missing = await http.get(url("march.csv"), headers=world.bearer())
    assert (missing.status_code, code(missing)) == (404, "object_not_found")
    world.door.grants.clear()
    unknown = await http.get(url(), headers=world.bearer())
    assert (unknown.status_code, code(unknown)) == (404, "grant_not_found")


async def test_a_connector_that_is_not_here(world: World, http: httpx.AsyncClient) -> None:
    world.door.change(connector="s3")
    answer = await http.get(url(), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (503, "connector_missing")
    assert not world.door.uses


async def test_a_media_type_that_could_break_headers_is_not_sent(tmp_path) -> None:
    world = await make_world(tmp_path, {"a": b"data"})
    item = named(world, "a")
    world.door.change(objects=(type(item)("a", item.bytes, item.sha256, "text/x\r\nX-Evil: 1"),))
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        answer = await http.get(url("a"), headers=world.bearer())
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_no_file_stays_open(world: World, http: httpx.AsyncClient) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for headers in [{}, {"Range": "bytes=0-1"}, {"Range": "bytes=999999-"}]:
        await http.get(url(), headers={**world.bearer(), **headers})
    await http.head(url(), headers=world.bearer())
    world.door.away.add("record")
    await http.get(url(), headers=world.bearer())
    assert len(list(Path("/proc/self/fd").iterdir())) == before
