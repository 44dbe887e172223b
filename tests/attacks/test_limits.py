"""Limits on body, head, time and page.

Every refusal is a problem document; nothing here may end in a 500 or a hanging connection.
"""

import json
import socket
import sqlite3
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.actors import TERMS
from tests.support.story import (
    DATABASES,
    World,
    alive,
    assert_problem,
    call,
    exchange_on,
    make_world,
    post_raw,
)
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
    with exchange_on(request.param, tmp_path_factory.mktemp("limits"), **LIMITS) as server:
        yield make_world(server)


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
    started = time.monotonic()  # the exchange may count from when the connection stood
    with connect(world.server.port) as connection:
        connection.sendall(request)
        connection.settimeout(0.2)
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


def test_a_client_that_hangs_up_leaves_nothing_behind(world: World):
    token = world.role("platform")["Authorization"]
    for method, path in (("PUT", "/v1/files/gone.bin"), ("POST", "/v1/offerings")):
        lines = [f"Authorization: {token}", "Content-Type: application/json"]
        with connect(world.server.port) as connection:
            connection.sendall(head(method, path, *lines, "Content-Length: 5000") + b"{" * 3000)
            time.sleep(0.2)
    path = {"source": {"connector": "files", "path": "gone.bin"}}
    draft = world.platform.post("/v1/offerings", TERMS | path)
    published = call(world, "platform", "POST", f"/v1/offerings/{draft['id']}/publish")
    assert_problem(published, 404, "source_not_found")
    folder = world.server.state / "data" / world.platform.profile.organisation_id / ".incoming"
    assert list(folder.iterdir()) == []
    alive(world)


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


@pytest.mark.parametrize(
    ("role", "path"),
    [
        ("sme", "/v1/offerings"),
        ("sme", "/v1/offerings/facets"),
        ("sme", "/v1/grants"),
        ("sme", "/v1/access-requests"),
        ("platform", "/v1/holds"),
        ("operator", "/v1/log/entries"),
        ("operator", "/v1/organisations"),
    ],
)
def test_unknown_and_many_parameters_are_refused(world: World, role, path):
    """A filter that nobody knows would show everything as if it had been met."""
    many = "&".join(f"a{n}=" for n in range(400)) + "&;&&=&%zz&%ff=%fe&limit=1"
    for query, named in ((many, "a0"), ("bogus=x", "bogus"), ("%0a%e2%80%ae=x", "?")):
        answer = call(world, role, "GET", f"{path}?{query}")
        assert answer.status_code == 422, answer.text
        problem = assert_problem(answer)
        assert problem["type"].endswith(":parameter_unknown")
        assert f"query.{named}" in problem["detail"]
        assert "limit" in problem["hint"] or "facets" in path
        assert len(answer.content) < 2000
    assert call(world, role, "GET", path).status_code == 200


def test_the_log_ends_without_a_failure(world: World):
    """Last in this file: all of the above met no unexpected error, and no request hung."""
    lines = [json.loads(line) for line in world.server.log().splitlines()]
    assert not [line for line in lines if line["event"] == "unexpected_error"]
    assert not [line for line in lines if line.get("status") == 500]
    assert not [line for line in lines if "ASGI" in line["event"]]
