"""Attacks by paths, links, lying platforms and odd requests: no byte but of what was granted."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from connectors.gateway.answers import object_headers
from tests.unit.connectors.attacked import (
    DATA,
    NAME,
    SECRET,
    code,
    lines,
    make_attacked,
    nothing_left,
)
from tests.unit.connectors.served import ask, connect, exchange, read_on, run, serving
from tests.unit.connectors.world import (
    AUDIENCE,
    GRANT,
    PROVIDER,
    World,
    make_world,
    named,
    url,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await make_attacked(tmp_path)
    yield made
    made.files.close()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client


@pytest.fixture
def port(world: World) -> Iterator[int]:
    with serving(world.app) as number:
        yield number


# Files

TRAVERSALS = [
    "../secret",
    "../../secret",
    "../../org_other/secret",
    "..%2f..%2forg_other%2fsecret",
    "%2e%2e/%2e%2e/secret",
    "%252e%252e%252fsecret",
    "..%5c..%5csecret",
    "....//....//secret",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "flights.csv/../../../secret",
    "flights.csv%00.txt",
    "flights.csv%0d%0aX-Evil:1",
    "%c0%ae%c0%ae/secret",
    "．．/secret",
    "flights.csv/",
    "./flights.csv",
    "flights.csv;a",
    "FLIGHTS.CSV",
    "%ff%fe",
    "file:///etc/passwd",
    "a" * 5000,
]


@pytest.mark.parametrize("name", TRAVERSALS, ids=lambda name: ascii(name)[:30])
async def test_path_traversal(world: World, port: int, name: str) -> None:
    authorization = f"Authorization: {world.bearer()['Authorization']}"
    target = url(name).encode().decode("latin-1")
    status, data = exchange(port, target, authorization)
    assert status in {400, 404, 422}
    assert SECRET not in data
    assert DATA not in data
    assert b"X-Evil" not in data
    assert not world.door.uses


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("flights", "../../../secret"),
        ("flights", "../../org_other/secret"),
        ("flights", "/etc/passwd"),
        ("../org_other", "secret"),
        ("../org_other/secret", "secret"),
        ("..", "secret"),
        ("/etc", "passwd"),
        (".", "secret"),
        ("", "secret"),
        (None, "secret"),
        (["flights"], "secret"),
    ],
)
async def test_platform_that_lies_about_its_source(
    world: World, http: httpx.AsyncClient, source: object, name: str
) -> None:
    lie = replace(
        named(world, NAME), name=name, bytes=len(SECRET), sha256=hashlib.sha256(SECRET).hexdigest()
    )
    world.door.change(source={"path": source}, objects=(lie,))
    answer = await http.get(url(name.replace("/", "%2F")), headers=world.bearer())
    assert (answer.status_code, code(answer)) in [(409, "object_changed"), (422, "path_refused")]
    nothing_left(world, answer)


@pytest.mark.parametrize("place", ["file", "folder", "organisation"])
async def test_symlink_escape(world: World, http: httpx.AsyncClient, place: str) -> None:
    """Even to the very same bytes: what a link leads to is not the platform's own file."""
    own = {
        "file": world.folder / NAME,
        "folder": world.folder,
        "organisation": world.root / PROVIDER,
    }[place]
    moved = world.root.parent / "moved"
    own.rename(moved)
    own.symlink_to(moved)
    answer = await http.get(url(NAME), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (409, "object_changed")
    nothing_left(world, answer)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_published_file_that_was_altered(
    world: World, http: httpx.AsyncClient, method: str
) -> None:
    file = world.folder / NAME
    file.write_bytes(DATA[:-1] + b"!")
    answer = await http.request(method, url(NAME), headers=world.bearer())
    assert answer.status_code == 409
    nothing_left(world, answer)
    file.write_bytes(DATA)
    assert (await http.get(url(NAME), headers=world.bearer())).content == DATA


async def test_header_injection_by_an_objects_name(world: World, http: httpx.AsyncClient) -> None:
    for name in ['x";filename=evil.exe', "x\r\nSet-Cookie: a=b", "x\u0000", "\u202egpj.exe", '\\"']:
        item = replace(world.door.grants[GRANT].objects[0], name=name)
        world.door.change(objects=(item,))
        disposition = object_headers(item, None)["Content-Disposition"]
        assert disposition.isascii()
        assert disposition.isprintable()
        assert disposition.count('"') == 2
        listed = await http.get(f"/gateway/grants/{GRANT}", headers=world.bearer())
        assert listed.json()["objects"][0]["name"] == name


# Odd requests on a real connection


@pytest.mark.parametrize(
    ("more", "statuses"),
    [
        (["Range: bytes=0-1", "Range: bytes=4-9"], {400}),
        (["If-Range: x", "If-Range: y"], {400}),
        (["Range: bytes=0-" + "9" * 900], {206}),
        (["Range: bytes=" + "0-1," * 240 + "5-6"], {200}),
        (["Range: bytes=" + "0-1," * 5000 + "5-6"], {400, 422, 431}),
        (["Range: bytes=\xff-\xfe"], {200}),
        (["Range: bytes=-"], {200}),
        (["Range: \x00"], {400}),
        (["Range : bytes=0-1"], {400, 200}),
        (["Range: bytes=0-1", " folded"], {400, 200, 206}),
        (["If-None-Match: " + '"' * 7000], {200}),
        (["If-None-Match: " + "W/" * 3500], {200}),
        (["If-None-Match: " + " ,\t" * 2000 + "x"], {200}),
        (["If-Match: " + '"a",' * 1500], {412}),
        (["If-Modified-Since: never", "If-Unmodified-Since: \xff"], {200}),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], {400}),
        (["Content-Length: 1", "Content-Length: 2"], {400}),
        (["Transfer-Encoding: xchunked"], {400, 200}),
        (["Content-Length: -1"], {400}),
        (["Expect: 100-continue", "Content-Length: 0"], {200}),
        (["X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"], {200}),
    ],
    ids=lambda value: ascii(value)[:40] if isinstance(value, list) else "",
)
async def test_odd_headers(world: World, port: int, more: list[str], statuses: set[int]) -> None:
    status, data = exchange(port, url(NAME), *lines(world, *more))
    assert status in statuses
    delivered = DATA[:20] in data or status == 206
    assert len(world.door.uses) == int(delivered), "data and recorded uses go together"
    assert b"evil.example" not in data


async def test_smuggled_second_request_is_refused_or_judged_by_itself(
    world: World, port: int
) -> None:
    """A body on a GET is no part of it: what stands there is not run with the first's token."""
    inner = f"GET {url(NAME)} HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
    outer = lines(world, f"Content-Length: {len(inner)}")
    with connect(port) as connection:
        ask(connection, url(NAME), *outer, "Connection: close")
        connection.sendall(inner.encode())
        data = read_on(connection, 1 << 20)
    assert data.count(b"HTTP/1.1 200") == 1
    assert len(world.door.uses) == 1
    with connect(port) as connection:
        chunked = lines(world, "Content-Length: 4", "Transfer-Encoding: chunked")
        ask(connection, url(NAME), *chunked)
        connection.sendall(b"0\r\n\r\n" + inner.encode())
        data = read_on(connection, 1 << 20)
    assert b"HTTP/1.1 200" not in data
    assert len(world.door.uses) == 1


async def test_addresses_in_the_list_do_not_follow_the_host_header(
    world: World, http: httpx.AsyncClient
) -> None:
    headers = {**world.bearer(), "Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    answer = await http.get(f"/gateway/grants/{GRANT}", headers=headers)
    assert "evil.example" not in answer.text
    assert answer.json()["objects"][0]["url"].startswith(AUDIENCE)


def test_grant_ids_of_another_form_reach_no_door(tmp_path: Path) -> None:
    world = run(make_world(tmp_path, {NAME: DATA}))
    world.door.away.add("look_up")
    with serving(world.app) as port:
        for grant_id in [
            "x",
            GRANT.upper(),
            GRANT + "x",
            GRANT + "%0a",
            "%00",
            "grt_k3x9_" + "٤" * 26,
        ]:
            target = url(NAME, grant_id).encode().decode("latin-1")
            status, _ = exchange(port, target, *lines(world))
            assert status in {400, 404, 422}, grant_id
    world.files.close()
