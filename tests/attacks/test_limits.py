"""Limits on body, head, page and time, and input that only an attacker sends.

Every refusal is a problem document; nothing here may end in a 500 or a hanging connection.
"""

import json
import socket
import sqlite3
import time
from collections.abc import Iterator

import httpx
import pytest

from exchange.cli.profile import jwks_of, new_profile
from tests.support.actors import TERMS
from tests.support.story import DATABASES, World, assert_problem, exchange_on, make_world
from tests.support.wire import connect, head, read_response, talk

BODY, HEAD, UPLOAD, SECONDS, PAGE = 16384, 4096, 65536, 2.0, 3
LIMITS = {
    "body_bytes": BODY,
    "header_bytes": HEAD,
    "upload_bytes": UPLOAD,
    "request_seconds": SECONDS,
    "page_items": PAGE,
}


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """The same world on each database: PostgreSQL refuses strings that SQLite takes."""
    folder = tmp_path_factory.mktemp("limits")
    with exchange_on(request.param, folder, **LIMITS) as server:
        yield make_world(server)


def call(world: World, role: str, method: str, path: str, **options) -> httpx.Response:
    headers = world.role(role) | options.pop("headers", {})
    return httpx.request(method, world.server.url + path, headers=headers, timeout=20, **options)


def post_raw(world: World, role: str, path: str, body: bytes, method="POST") -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return call(world, role, method, path, content=body, headers=headers)


def alive(world: World) -> None:
    """The server still does its work, and no request ended in its general failure."""
    assert httpx.get(world.server.url + "/readyz", timeout=20).status_code == 200
    assert "unexpected_error" not in world.server.log()


# ---- body ---------------------------------------------------------------------------------------


def test_body_over_its_limit_by_content_length(world: World):
    body = b'{"reason": "' + b"x" * BODY + b'"}'
    path = f"/v1/grants/{world.grant_id}/revoke"
    assert_problem(post_raw(world, "platform", path, body), 413, "body_too_large")


def test_body_over_its_limit_in_chunks(world: World):
    def chunks() -> Iterator[bytes]:
        yield b'{"reason": "'
        for _ in range(BODY // 64):
            yield b"x" * 128
        yield b'"}'

    path = f"/v1/grants/{world.grant_id}/revoke"
    refused = call(
        world,
        "platform",
        "POST",
        path,
        content=chunks(),
        headers={"Content-Type": "application/json"},
    )
    assert_problem(refused, 413, "body_too_large")


def test_token_form_over_its_limit(world: World):
    for content in (b"a=" + b"x" * BODY, (b"a=" + b"x" * 200 for _ in range(BODY // 100))):
        refused = call(
            world,
            "nobody",
            "POST",
            "/oauth/token",
            content=content,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert_problem(refused, 413, "body_too_large")


@pytest.mark.parametrize("chunked", [False, True])
def test_upload_over_its_limit(world: World, chunked: bool):
    over = UPLOAD + 1
    content = (b"u" * 4097 for _ in range(over // 4096)) if chunked else b"u" * over
    refused = call(world, "platform", "PUT", f"/v1/files/over-{chunked}.bin", content=content)
    assert_problem(refused, 413)
    path = {"source": {"connector": "files", "path": f"over-{chunked}.bin"}}
    draft = world.platform.post("/v1/offerings", TERMS | path)
    published = call(world, "platform", "POST", f"/v1/offerings/{draft['id']}/publish")
    assert_problem(published, 404, "source_not_found")  # no part of it was kept
    exact = call(world, "platform", "PUT", "/v1/files/exact.bin", content=b"u" * UPLOAD)
    assert exact.status_code == 201
    assert exact.json()["bytes"] == UPLOAD


def test_an_upload_without_permission_is_not_read(world: World):
    """The refusal comes while the body is still being announced."""
    for role, status in (("nobody", 401), ("sme", 403)):
        lines = [f"{k}: {v}" for k, v in world.role(role).items()]
        request = head("PUT", "/v1/files/a.bin", *lines, f"Content-Length: {UPLOAD}")
        assert talk(world.server.port, request + b"only this").status == status


# ---- head ---------------------------------------------------------------------------------------


def test_head_over_its_limit(world: World):
    for path, headers in (
        ("/healthz", {"X-Long": "x" * HEAD}),
        ("/healthz?" + "q" * HEAD, {}),
        ("/v1/offerings/" + "o" * HEAD, {}),
        ("/healthz", {f"X-{n}": "y" * 20 for n in range(200)}),
    ):
        assert_problem(httpx.get(world.server.url + path, headers=headers), 431, "head_too_large")


def test_a_head_without_end_is_cut_off(world: World):
    """No memory is spent on a head that never ends, in one header or in many."""
    for piece in (b"x" * 4096, b"X-Header: value\r\n" * 256):
        with connect(world.server.port) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-First: ")
            sent = 0
            with pytest.raises(ConnectionError):
                while sent < 64 * 2**20:
                    connection.sendall(piece)
                    sent += len(piece)
            assert sent < 8 * 2**20  # what the sockets buffer


def test_trailers_without_end_are_cut_off(world: World):
    authorization = world.role("platform")["Authorization"]
    with connect(world.server.port) as connection:
        connection.sendall(
            head(
                "PUT",
                "/v1/files/trailers.bin",
                f"Authorization: {authorization}",
                "Transfer-Encoding: chunked",
            )
            + b"3\r\nabc\r\n0\r\n"
        )
        sent, piece = 0, b"X-Trailer: value\r\n" * 256
        with pytest.raises(ConnectionError):
            while sent < 64 * 2**20:
                connection.sendall(piece)
                sent += len(piece)
        assert sent < 8 * 2**20


def test_what_is_not_http(world: World):
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : h\r\n\r\n",
        b"GET /healthz\x00 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"BREW /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"get /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: h\r\n\r\n",
        head("POST", "/oauth/token", "Content-Length: 5", "Transfer-Encoding: chunked")
        + b"0\r\n\r\n",
        head("POST", "/oauth/token", "Content-Length: 5", "Content-Length: 6") + b"abcdef",
        head("POST", "/oauth/token", "Content-Length: -1"),
        head("POST", "/oauth/token", "Content-Length: " + "9" * 400),
        head("POST", "/oauth/token", "Transfer-Encoding: chunked") + b"zz\r\n",
    ):
        talk(world.server.port, garbage).problem(400, "not_http")
    alive(world)


# ---- time ---------------------------------------------------------------------------------------


def test_a_slow_handler_is_answered_in_time(world: World):
    """The database's write lock is held by somebody else, longer than a request may take."""
    if not (world.server.state / "database").exists():
        pytest.skip("PostgreSQL's own lock_timeout is tested with the ledger")
    database = world.server.state / "database" / "exchange.sqlite3"
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        started = time.monotonic()
        slow = call(world, "platform", "POST", "/v1/offerings", json=TERMS)
        taken = time.monotonic() - started
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert "hint" in assert_problem(slow, 503, "too_slow")
    assert slow.headers["retry-after"]
    assert SECONDS <= taken < SECONDS + 3
    alive(world)


def test_a_slow_body_is_answered_in_time(world: World):
    token = world.role("platform")["Authorization"]
    request = head(
        "POST",
        "/v1/offerings",
        f"Authorization: {token}",
        "Content-Type: application/json",
        "Content-Length: 500",
    )
    with connect(world.server.port) as connection:
        connection.sendall(request)
        connection.settimeout(0.2)
        started = time.monotonic()
        while time.monotonic() - started < SECONDS + 3:
            connection.sendall(b" ")
            try:
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
        assert SECONDS <= time.monotonic() - started < SECONDS + 3
        connection.settimeout(5)
        read_response(connection).problem(408, "body_too_slow")
    alive(world)


def test_a_slow_upload_may_take_long_while_it_moves_and_ends_when_it_stops(world: World):
    token = world.role("platform")["Authorization"]
    request = head("PUT", "/v1/files/slow.bin", f"Authorization: {token}", "Content-Length: 6")
    with connect(world.server.port) as connection:
        connection.sendall(request)
        for byte in b"abcdef":
            time.sleep(SECONDS / 4)
            connection.sendall(bytes([byte]))
        assert read_response(connection).status == 201
    with connect(world.server.port) as connection:
        connection.sendall(request.replace(b"slow.bin", b"stop.bin") + b"abc")
        read_response(connection).problem(408, "body_too_slow")


# ---- pages and parameters -----------------------------------------------------------------------

LISTS = (
    ("operator", "/v1/organisations"),
    ("platform", "/v1/offerings"),
    ("sme", "/v1/access-requests"),
    ("sme", "/v1/grants"),
    ("auditor", "/v1/log/entries"),
)


@pytest.mark.parametrize(("role", "path"), LISTS)
def test_a_page_has_its_size_and_the_pages_have_everything_once(world: World, role, path):
    assert_problem(call(world, role, "GET", f"{path}?limit={PAGE + 1}"), 422, "input_invalid")
    session = getattr(world, role)
    default = session.get(path)["items"]
    assert 1 <= len(default) <= PAGE
    names = ("index",) if "log" in path else ("id",)
    whole = [tuple(item[name] for name in names) for item in session.pages(path, limit=1)]
    assert whole == [
        tuple(item[name] for name in names) for item in session.pages(path, limit=PAGE)
    ]
    assert len(set(whole)) == len(whole) >= len(default)


@pytest.mark.parametrize(("role", "path"), LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1e2",
        "limit=1.5",
        "limit=NaN",
        "limit=%00",
        "limit=" + "9" * 500,
        "limit=" + "9" * 3000,
        "limit[]=1&limit=x",
        "cursor=%00",
        "cursor=AA",  # a NUL, in base64
        "cursor=" + "A" * 201,
        "cursor=b3JnXzAw%0A",
        "cursor=%F0%9F%98%80",
        "cursor=4oCm",  # not ASCII
        "cursor====",
        "cursor=",
    ],
)
def test_odd_parameters(world: World, role, path, query):
    refused = call(world, role, "GET", f"{path}?{query}")
    assert refused.status_code in (400, 422), refused.text
    assert_problem(refused)


def test_unknown_and_many_parameters_do_no_harm(world: World):
    many = "&".join(f"a{n}=" for n in range(400)) + "&;&&=&%zz&%ff=%fe&limit=1"
    answer = call(world, "sme", "GET", "/v1/offerings?" + many)
    assert answer.status_code == 200
    assert len(answer.json()["items"]) <= 1


# ---- JSON ---------------------------------------------------------------------------------------

ASKED = '{"offering_id": "OFFERING", "purpose": "scientific_research", "days": 3}'
BROKEN = {
    "empty": b"",
    "nothing": b"   ",
    "not an object": b"[1]",
    "null": b"null",
    "cut": b'{"offering_id": "off_',
    "two values": b"{}{}",
    "trailing comma": b'{"days": 1,}',
    "comment": b'{/* */"days": 1}',
    "single quotes": b"{'days': 1}",
    "byte order mark": b"\xef\xbb\xbf" + ASKED.encode(),
    "utf-16": ASKED.encode("utf-16"),
    "utf-32": ASKED.encode("utf-32-le"),
    "latin-1": b'{"purpose": "\xe9"}',
    "overlong utf-8": b'{"purpose": "\xc0\xaf"}',
    "surrogate in utf-8": b'{"purpose": "\xed\xa0\x80"}',
    "deep array": b'{"actions": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "deep object": b'{"a":' * 1500 + b"1" + b"}" * 1500,
    "moderately deep": b'{"a":' * 200 + b"1" + b"}" * 200,
    "name twice": ASKED.replace('"days": 3', '"days": 3, "days": 90').encode(),
    "name twice, inside": b'{"jwks": {"keys": [], "keys": []}}',
    "NaN": ASKED.replace("3}", "NaN}").encode(),
    "Infinity": ASKED.replace("3}", "-Infinity}").encode(),
    "1e400": ASKED.replace("3}", "1e400}").encode(),
    "float": ASKED.replace("3}", "3.0}").encode(),
    "text": ASKED.replace("3}", '"3"}').encode(),
    "true": ASKED.replace("3}", "true}").encode(),
    "huge": ASKED.replace("3}", "9" * 4000 + "}").encode(),
    "huger": ASKED.replace("3}", "9" * 6000 + "}").encode(),
    "2^63": ASKED.replace("3}", f"{2**63}}}").encode(),
    "negative": ASKED.replace("3}", "-3}").encode(),
    "lone surrogate": ASKED.replace("scientific_research", "\\ud800").encode(),
    "lone surrogate as a name": b'{"\\ud800": 1}',
    "lone surrogate in what may be anything": b'{"name": "n", "jwks": {"keys": ["\\udfff"]}}',
    "NUL": ASKED.replace("scientific_research", "\\u0000").encode(),
    "NUL as a name": b'{"\\u0000": 1}',
    "raw NUL": b'{"purpose": "\x00"}',
    "unknown member": ASKED.replace('"days"', '"more": {}, "days"').encode(),
    "proto": b'{"__proto__": {"x": 1}, "constructor": 1}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_on_every_route_that_takes_json(world: World, name: str):
    body = BROKEN[name].replace(b"OFFERING", world.offering["id"].encode())
    org = world.sme.profile.organisation_id
    for role, method, path in (
        ("operator", "POST", "/v1/organisations"),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/headcount"),
        ("sme", "POST", f"/v1/organisations/{org}/clients"),
        ("platform", "POST", "/v1/offerings"),
        ("platform", "PUT", f"/v1/offerings/{world.spare_offering['id']}"),
        ("sme", "POST", "/v1/access-requests"),
        ("platform", "POST", f"/v1/grants/{world.grant_id}/revoke"),
    ):
        refused = post_raw(world, role, path, body, method)
        assert refused.status_code in (400, 422), (path, refused.status_code, refused.text)
        assert_problem(refused)
    alive(world)


def test_the_well_formed_twin_of_the_broken_bodies_is_taken(world: World):
    """So that the refusals above are for what is broken, and for nothing else."""
    body = ASKED.replace("OFFERING", world.offering["id"]).encode()
    assert post_raw(world, "sme", "/v1/access-requests", body).status_code in (200, 201)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ";;;"]
)
def test_a_body_of_another_type_is_refused(world: World, kind: str):
    body = ASKED.replace("OFFERING", world.offering["id"]).encode()
    headers = {"Content-Type": kind} if kind else {}
    refused = call(world, "sme", "POST", "/v1/access-requests", content=body, headers=headers)
    document = assert_problem(refused, 415, "media_type")
    assert "application/json" in document["hint"]


# ---- strings that a database or a terminal stumbles over ----------------------------------------

NASTY = {
    "NUL": "a\x00b",
    "escape": "a\x1b[31mb",
    "newline": "a\nb",
    "delete": "a\x7fb",
    "8-bit CSI": "a\x9b31mb",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202eb",
    "isolate": "a\u2066b",
}


@pytest.mark.parametrize("name", NASTY)
def test_no_stored_string_takes_control_characters(world: World, name: str):
    nasty = NASTY[name]
    org = world.sme.profile.organisation_id
    organisation = {"name_en": "N", "name_zh": "N", "roles": ["sme"]}
    jwks = jwks_of(new_profile(""))
    kid = {"keys": [jwks["keys"][0] | {"kid": nasty}]}
    for role, method, path, body in (
        ("operator", "POST", "/v1/organisations", organisation | {"name_en": nasty}),
        ("operator", "POST", "/v1/organisations", organisation | {"name_zh": nasty}),
        (
            "operator",
            "POST",
            "/v1/organisations",
            organisation | {"attributes": {"jurisdiction": nasty}},
        ),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/jurisdiction", {"value": nasty}),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/industry", {"value": nasty}),
        ("sme", "POST", f"/v1/organisations/{org}/clients", {"name": nasty, "jwks": jwks}),
        ("sme", "POST", f"/v1/organisations/{org}/clients", {"name": "n", "jwks": kid}),
        ("platform", "POST", "/v1/offerings", TERMS | {"title_en": nasty}),
        ("platform", "POST", "/v1/offerings", TERMS | {"title_zh": nasty}),
        ("platform", "POST", "/v1/offerings", TERMS | {"purposes": [nasty]}),
        ("platform", "POST", "/v1/offerings", TERMS | {"jurisdictions": [nasty]}),
        (
            "platform",
            "POST",
            "/v1/offerings",
            TERMS | {"source": {"connector": "files", "path": nasty}},
        ),
        (
            "sme",
            "POST",
            "/v1/access-requests",
            {"offering_id": world.offering["id"], "purpose": nasty, "days": 1},
        ),
    ):
        assert_problem(call(world, role, method, path, json=body), 422)
    if name != "newline":  # a description has lines
        for member in ("description_en", "description_zh"):
            refused = call(world, "platform", "POST", "/v1/offerings", json=TERMS | {member: nasty})
            assert_problem(refused, 422)
    alive(world)


@pytest.mark.parametrize(
    "name", ["%00", "a%00.bin", "%2e%2e", "..", "a%2fb", ".hidden", "%ff", "é"]
)
def test_no_file_takes_a_nasty_name(world: World, name: str):
    refused = call(world, "platform", "PUT", f"/v1/files/{name}", content=b"x")
    assert refused.status_code in (404, 405, 422)
    assert_problem(refused)


@pytest.mark.parametrize("key", ["", "a b", "\xe9", "x" * 129])
def test_odd_idempotency_keys(world: World, key: str):
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = call(world, "platform", "POST", "/v1/offerings", json=TERMS, headers=headers)
    assert_problem(refused, 422)


# ---- hosts and methods --------------------------------------------------------------------------


def test_a_forged_host_changes_no_url(world: World):
    port = world.server.port
    token = world.role("grant token")["Authorization"]
    for path, lines in (
        ("/", []),
        ("/.well-known/oauth-authorization-server", []),
        ("/docs", []),
        ("/openapi.json", []),
        ("/v1/offerings/", []),
        ("/healthz/", []),
        (f"/gateway/grants/{world.grant_id}", [f"Authorization: {token}"]),
    ):
        forged = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", *lines]
        forged.append("Forwarded: host=evil.example;proto=https")
        answer = talk(port, head("GET", path, *forged, host="evil.example"))
        assert "evil" not in json.dumps(answer.headers) + answer.body.decode()
    metadata = httpx.get(
        world.server.url + "/.well-known/oauth-authorization-server",
        headers={"Host": "evil.example"},
    ).json()
    assert metadata["issuer"] == world.server.url
    listed = call(
        world, "grant token", "GET", f"/gateway/grants/{world.grant_id}", headers={"Host": "evil"}
    ).json()
    assert all(item["url"].startswith(world.server.url) for item in listed["objects"])


@pytest.mark.parametrize(
    "method",
    ["HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "PUT", "PROPFIND", "MKCOL", "PURGE", "LOCK"],
)
def test_methods_that_a_route_does_not_have(world: World, method: str):
    for path in ("/v1/grants", "/healthz", "/log/checkpoint", "/", "/openapi.json", "/docs"):
        if method == "HEAD" and path == "/openapi.json":
            continue  # the framework's own route has it
        answer = talk(world.server.port, head(method, path), has_body=method != "HEAD")
        assert answer.status == 405, (method, path, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "GET" in answer.headers["allow"]
        if method != "HEAD":
            answer.problem(405, "method_not_allowed")
    refused = talk(world.server.port, head(method, "/oauth/token"), has_body=method != "HEAD")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1", "/v1/", "/v1/grants/", "//", "/log/tile", "/docs/x", "/docs/..%2f", "/%00"],
)
def test_unknown_routes(world: World, path: str):
    answer = talk(world.server.port, head("GET", path))
    answer.problem(404, "route_unknown")
    assert answer.headers["x-request-id"] == json.loads(answer.body)["request_id"]


def test_a_websocket_is_not_opened(world: World):
    answer = talk(
        world.server.port,
        head(
            "GET",
            "/v1/grants",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    )
    assert answer.status in (400, 401, 403, 404, 426)
    alive(world)


def test_every_answer_carries_its_id_and_the_security_headers(world: World):
    for role, method, path in (
        ("nobody", "GET", "/"),
        ("nobody", "GET", "/openapi.json"),
        ("nobody", "GET", "/nothing"),
        ("nobody", "GET", "/v1/grants"),
        ("sme", "GET", "/v1/grants"),
        ("nobody", "POST", "/oauth/token"),
        ("nobody", "GET", "/healthz?" + "x" * HEAD),
    ):
        headers = call(world, role, method, path).headers
        assert len(headers["x-request-id"]) == 16
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_log_ends_without_a_failure(world: World):
    """Last in this file: all of the above met no unexpected error, and no request hung."""
    lines = [json.loads(line) for line in world.server.log().splitlines()]
    assert not [line for line in lines if line["event"] == "unexpected_error"]
    assert not [line for line in lines if line.get("status") == 500]
    assert not [line for line in lines if "ASGI" in line["event"]]
