"""Attacks on the gateway: each ends in a refusal, with no byte of data and no use recorded."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from joserfc import jwk, jwt

from connectors.gateway.answers import object_headers
from tests.unit.connectors.served import ask, connect, exchange, read_on, run, serving
from tests.unit.connectors.world import (
    AUDIENCE,
    GRANT,
    ISSUER,
    OTHER_GRANT,
    PROVIDER,
    Issuer,
    World,
    make_world,
    named,
    url,
)

DATA = b"carrier,delay\nUA,2\n" * 100
SECRET = b"root:x:0:0:this is not for delivery"
NAME = "flights.csv"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await make_world(tmp_path / "data", {NAME: DATA})
    (tmp_path / "secret").write_bytes(SECRET)
    (made.root / "org_other").mkdir()
    (made.root / "org_other" / "secret").write_bytes(SECRET)
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


def code(answer: httpx.Response) -> str:
    return answer.json()["type"].removeprefix("urn:exchange:problem:")


def nothing_left(world: World, answer: httpx.Response) -> None:
    assert DATA[:20] not in answer.content
    assert SECRET not in answer.content
    assert str(world.root) not in answer.text
    assert not world.door.uses


async def refused(
    world: World, http: httpx.AsyncClient, token: str, status: int, expected: str
) -> None:
    """Neither list, nor head, nor data under this token."""
    headers = {"Authorization": f"Bearer {token}"}
    for method, address in [("GET", f"/gateway/grants/{GRANT}"), ("GET", url(NAME))]:
        answer = await http.request(method, address, headers=headers)
        assert (answer.status_code, code(answer)) == (status, expected)
        nothing_left(world, answer)
    assert (await http.head(url(NAME), headers=headers)).status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


# Tokens


async def test_no_token(world: World, http: httpx.AsyncClient) -> None:
    answer = await http.get(url(NAME))
    assert (answer.status_code, code(answer)) == (401, "token_missing")
    assert answer.headers["www-authenticate"] == "Bearer"
    nothing_left(world, answer)


async def test_token_for_another_grant(world: World, http: httpx.AsyncClient) -> None:
    world.door.grants[OTHER_GRANT] = replace(world.door.grants[GRANT], grant_id=OTHER_GRANT)
    token = world.issuer.token(OTHER_GRANT)
    await refused(world, http, token, 403, "token_for_another_grant")


async def test_a_foreign_token_does_not_tell_whether_a_grant_exists(
    world: World, http: httpx.AsyncClient
) -> None:
    headers = {"Authorization": f"Bearer {world.issuer.token(OTHER_GRANT)}"}
    there = await http.get(url(NAME), headers=headers)
    world.door.grants.clear()
    gone = await http.get(url(NAME), headers=headers)
    assert there.content == gone.content


async def test_token_for_another_connector(world: World, http: httpx.AsyncClient) -> None:
    for audience in ["https://other.example/gateway", ISSUER, AUDIENCE + "/", [AUDIENCE]]:
        token = world.issuer.token(aud=audience)
        await refused(world, http, token, 401, "token_audience_wrong")


async def test_token_for_an_audience_taken_from_the_host_header(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token(aud="http://evil.example/gateway")
    headers = {"Authorization": f"Bearer {token}", "Host": "evil.example"}
    answer = await http.get(url(NAME), headers=headers)
    assert code(answer) == "token_audience_wrong"
    nothing_left(world, answer)


async def test_token_of_another_client(world: World, http: httpx.AsyncClient) -> None:
    other = world.issuer.token(client_id="cli_" + "9" * 26, sub="cli_" + "9" * 26)
    await refused(world, http, other, 403, "token_for_another_client")


async def test_token_of_the_client_moved_to_another_organisation(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token(org_id="org_" + "9" * 26)
    await refused(world, http, token, 403, "token_for_another_client")


async def test_expired_token(world: World, http: httpx.AsyncClient) -> None:
    now = int(time.time())
    token = world.issuer.token(iat=now - 300, exp=now - 1)
    await refused(world, http, token, 401, "token_expired")


async def test_token_of_another_issuer(world: World, http: httpx.AsyncClient) -> None:
    token = world.issuer.token(iss="https://evil.example")
    await refused(world, http, token, 401, "token_issuer_wrong")
    await refused(world, http, Issuer().token(), 401, "token_key_unknown")


async def test_token_signed_by_another_key_under_a_known_kid(
    world: World, http: httpx.AsyncClient
) -> None:
    evil = Issuer()
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.issuer.key.thumbprint()}
    forged = jwt.encode(header, claims, evil.key)
    await refused(world, http, forged, 401, "token_signature_wrong")


def unsigned(header: dict[str, object], claims: dict[str, object]) -> str:
    parts = [json.dumps(each).encode() for each in (header, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


async def test_token_with_alg_none(world: World, http: httpx.AsyncClient) -> None:
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    body = unsigned({"alg": "none", "typ": "at+jwt"}, claims)
    await refused(world, http, body + ".", 401, "token_malformed")
    await refused(world, http, body + ".AAAA", 401, "token_header_refused")


async def test_token_signed_with_the_public_key_as_secret(
    world: World, http: httpx.AsyncClient
) -> None:
    kid = world.issuer.key.thumbprint()
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    body = unsigned({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims)
    secret = world.issuer.key.as_pem(private=False)
    signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    token = f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    await refused(world, http, token, 401, "token_header_refused")


async def test_token_that_brings_its_own_key(world: World, http: httpx.AsyncClient) -> None:
    own = jwk.ECKey.generate_key("P-256", private=True)
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    header = {"alg": "ES256", "typ": "at+jwt", "jwk": own.as_dict(private=False)}
    await refused(world, http, jwt.encode(header, claims, own), 401, "token_header_refused")


async def test_token_for_the_api_is_no_token_for_a_delivery(
    world: World, http: httpx.AsyncClient
) -> None:
    claims = jwt.decode(world.issuer.token(), world.issuer.key).claims
    del claims["grant_id"]
    header = {"alg": "ES256", "typ": "at+jwt", "kid": world.issuer.key.thumbprint()}
    token = jwt.encode(header, {**claims, "scope": "read"}, world.issuer.key)
    await refused(world, http, token, 401, "token_kind_wrong")


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "..", "A" * 100_000, "[[[[.[[[[.[[[[", "\u00e9.\u00e9.\u00e9"],
    ids=ascii,
)
async def test_token_that_is_none(world: World, http: httpx.AsyncClient, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
    answer = await http.get(url(NAME), headers=headers)
    assert (answer.status_code, code(answer)) == (401, "token_malformed")


async def test_token_in_the_url_a_form_or_a_cookie_is_not_looked_at(
    world: World, http: httpx.AsyncClient
) -> None:
    token = world.issuer.token()
    for answer in [
        await http.get(url(NAME), params={"access_token": token}),
        await http.get(url(NAME), headers={"Cookie": f"access_token={token}"}),
        await http.request("GET", url(NAME), data={"access_token": token}),
    ]:
        assert (answer.status_code, code(answer)) == (401, "token_missing")
        nothing_left(world, answer)


async def test_two_authorization_headers(world: World, http: httpx.AsyncClient) -> None:
    good = world.bearer()["Authorization"]
    for pair in [(good, good), (good, "Bearer x"), ("Basic eDp5", good)]:
        answer = await http.get(url(NAME), headers=[("Authorization", each) for each in pair])
        assert (answer.status_code, code(answer)) == (401, "token_malformed")
        nothing_left(world, answer)


# The grant


@pytest.mark.parametrize("status", ["revoked", "suspended", "ended"])
async def test_grant_that_ends_between_look_up_and_record(
    world: World, http: httpx.AsyncClient, status: str
) -> None:
    world.door.before_record = lambda: world.door.change(status=status)
    answer = await http.get(url(NAME), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (403, f"grant_{status}")
    nothing_left(world, answer)


async def test_grant_that_is_revoked_while_the_file_is_opened(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = world.files.open

    async def slow(*asked):
        world.door.change(status="revoked")
        return await real(*asked)

    monkeypatch.setattr(world.files, "open", slow)
    answer = await http.get(url(NAME), headers=world.bearer())
    assert (answer.status_code, code(answer)) == (403, "grant_revoked")
    nothing_left(world, answer)


async def test_exchange_that_dies_between_look_up_and_record(
    world: World, http: httpx.AsyncClient
) -> None:
    world.door.before_record = lambda: world.door.away.add("record")
    answer = await http.get(url(NAME), headers=world.bearer())
    assert answer.status_code == 503
    nothing_left(world, answer)


async def test_revoked_grant_does_not_confirm_a_version(
    world: World, http: httpx.AsyncClient
) -> None:
    world.door.change(status="revoked")
    known = f'"{named(world, NAME).sha256}"'
    for condition in [{"If-None-Match": known}, {"If-Match": '"x"'}, {"Range": "bytes=99999-"}]:
        answer = await http.get(url(NAME), headers={**world.bearer(), **condition})
        assert (answer.status_code, code(answer)) == (403, "grant_revoked")


async def test_unknown_obligation(world: World, http: httpx.AsyncClient) -> None:
    world.door.change(obligations={"days": 30, "watermark": True})
    await refused(world, http, world.issuer.token(), 403, "obligation_unknown")


async def test_head_and_conditions_cannot_fetch_data_unrecorded(
    world: World, http: httpx.AsyncClient
) -> None:
    for method, extra in [
        ("HEAD", {}),
        ("HEAD", {"Range": "bytes=0-10"}),
        ("GET", {"If-None-Match": "*"}),
        ("GET", {"If-None-Match": f'"{named(world, NAME).sha256}"', "Range": "bytes=0-10"}),
    ]:
        answer = await http.request(method, url(NAME), headers={**world.bearer(), **extra})
        assert answer.content == b""
        nothing_left(world, answer)


async def test_other_methods_deliver_nothing(world: World, http: httpx.AsyncClient) -> None:
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"]:
        answer = await http.request(method, url(NAME), headers=world.bearer())
        assert answer.status_code == 405
        nothing_left(world, answer)
    override = {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"}
    assert (await http.head(url(NAME), headers={**world.bearer(), **override})).content == b""


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


def lines(world: World, *more: str) -> tuple[str, ...]:
    return (f"Authorization: {world.bearer()['Authorization']}", *more)


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
