"""Calls to a platform's service: what reaches it, what comes back, and what is recorded of it."""

import hashlib
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.called import SECRET, Pair, paired, read_whole
from tests.support.upstream import Came, Visit, answer
from tests.unit.connectors.served import ask, connect, read_head
from tests.unit.connectors.world import GRANT, OTHER_GRANT


@pytest.fixture(scope="module")
def served() -> Iterator[Pair]:
    with paired() as pair:
        yield pair


@pytest.fixture
def pair(served: Pair) -> Pair:
    served.reset()
    return served


# ---- what reaches the service ------------------------------------------------------------------


def test_a_call_reaches_the_service_as_it_was_asked(pair: Pair) -> None:
    response = pair.ask("stats/delays?by=carrier&x=%2F%0d%0a&empty&=", headers={"Accept": "a/b"})
    assert (response.status_code, response.content) == (200, b"{}")
    (came,) = pair.upstream.came
    assert (came.method, came.target) == ("GET", "/stats/delays?by=carrier&x=%2F%0d%0a&empty&=")
    assert came.one("accept") == "a/b"
    assert came.one("x-api-key") == SECRET
    assert came.one("via") == "1.1 exchange"
    assert came.one("host") == f"127.0.0.1:{pair.upstream.port}"
    assert came.one("exchange-grant") == GRANT
    assert came.one("exchange-use") in pair.called.door.uses
    assert not came.all("content-length")
    assert b"Bearer" not in came.raw


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_forwarded_and_recorded(pair: Pair, method: str) -> None:
    body = b"" if method == "HEAD" else b"{}"
    response = pair.ask("a/", method, content=b"12" if method in ("POST", "DELETE") else None)
    assert (response.status_code, response.content) == (200, body)
    assert response.headers["content-length"] == "2"
    (came,) = pair.upstream.came
    assert (came.method, came.target, came.whole) == (method, "/a/", True)
    assert bytes(came.body) == (b"12" if method in ("POST", "DELETE") else b"")
    assert came.all("content-length") == {
        "POST": ["2"], "DELETE": ["2"], "PUT": ["0"], "PATCH": ["0"]
    }.get(method, [])  # fmt: skip
    (use,) = pair.called.door.uses.values()
    assert (use.object_name, use.method) == (f"{method} /a/", method)
    assert (use.first_byte, use.last_byte) == (-1, -1)
    assert pair.ends() == [(len(body), True)]


@pytest.mark.parametrize(
    ("asked", "arrives"),
    [
        ("", "/"),
        ("a/", "/a/"),
        ("a%7Eb", "/a~b"),
        ("%e4%ba%8c", "/%E4%BA%8C"),
        ("a;b=c,d", "/a;b=c,d"),
        ("a%20b?%2e%2e/#", "/a%20b?%2e%2e/"),
        ("x?" + "y" * 20_000, "/x?" + "y" * 20_000),
    ],
)
def test_a_path_arrives_in_its_one_spelling_and_a_query_as_it_is(
    pair: Pair, asked: str, arrives: str
) -> None:
    assert pair.ask(asked).status_code == 200
    assert [came.target for came in pair.upstream.came] == [arrives]


def test_a_path_goes_below_the_connections_own(pair: Pair) -> None:
    pair.called.connect(url=f"{pair.upstream.url}/v2/api/")
    assert pair.ask("stats?x=1").status_code == 200
    assert [came.target for came in pair.upstream.came] == ["/v2/api/stats?x=1"]


@pytest.mark.parametrize(
    "path",
    [
        *("../admin", "%2e%2e/admin", "a/%2E%2e/b", "a/./b", "a//b", "//evil.example/x"),
        *("a%2fb", "a%5cb", "a\\b", "a%00", "a%0d%0aX: y", "%c0%ae", "a%252e", "..;/admin"),
        *("%ff", "a%EF%BC%8F..", "a%zz"),
    ],
)
def test_a_path_that_could_be_read_as_another_goes_nowhere(pair: Pair, path: str) -> None:
    with connect(pair.called.port) as connection:
        target = f"/gateway/grants/{GRANT}/call/{path}"
        ask(connection, target, f"Authorization: {pair.called.token}")
        status, _, body = read_whole(connection)
    assert status in (400, 404)
    assert b"urn:exchange:problem:" in body
    assert pair.upstream.came == []
    assert pair.called.door.uses == {}


def test_a_path_whose_prefix_is_escaped_goes_nowhere(pair: Pair) -> None:
    for prefix in ("/gateway/grants/{}/%63all/x", "/gateway/grants/{}%2Fcall/x"):
        with connect(pair.called.port) as connection:
            ask(connection, prefix.format(GRANT), f"Authorization: {pair.called.token}")
            assert read_head(connection)[0] in (400, 404, 422)
    assert pair.upstream.came == []


def test_two_grants_cannot_be_mixed(pair: Pair) -> None:
    target = f"/gateway/grants/{OTHER_GRANT}/call/x"
    with connect(pair.called.port) as connection:
        ask(connection, target, f"Authorization: {pair.called.token}")
        assert read_head(connection)[0] == 403
    assert pair.upstream.came == []


# ---- what is allowed ---------------------------------------------------------------------------


def test_only_what_the_offering_allows(pair: Pair) -> None:
    pair.called.offer(allow=["GET /stats/*", "POST /query"])
    assert pair.ask("stats/a/b").status_code == 200
    assert pair.ask("query", "POST", content=b"{}").status_code == 200
    for method, path in [
        *(("POST", "stats/a"), ("GET", "query"), ("GET", "stats"), ("GET", "")),
        *(("HEAD", "stats/a"), ("OPTIONS", "query"), ("GET", "Stats/a"), ("POST", "query/")),
    ]:
        response = pair.ask(path, method)
        assert response.status_code == 403, (method, path)
        if method != "HEAD":
            assert response.json()["hint"] == "It allows: GET /stats/*, POST /query"
    assert len(pair.upstream.came) == len(pair.called.door.uses) == 2


def test_an_obligation_narrows_what_is_allowed_and_never_widens_it(pair: Pair) -> None:
    pair.called.offer(allow=["GET /stats/*"])
    pair.called.door.change(obligations={"days": 3, "paths": ["GET /stats/a*", "POST /query"]})
    assert pair.ask("stats/ab").status_code == 200
    assert pair.refused(403, "call_not_allowed", "stats/b")["detail"].startswith("The grant")
    assert pair.refused(403, "call_not_allowed", "query", "POST")["detail"].startswith("The off")
    listed = httpx.get(
        f"http://127.0.0.1:{pair.called.port}/gateway/grants/{GRANT}", headers=pair.called.headers
    ).json()
    assert listed["calls"]["allow"] == ["GET /stats/a*", "POST /query"]
    assert listed["calls"]["url"].endswith(f"/gateway/grants/{GRANT}/call")


@pytest.mark.parametrize("rules", [None, "GET /*", [], ["GET /*", "nonsense"], [7], {"GET /*": 1}])
def test_rules_that_cannot_be_read_allow_nothing(pair: Pair, rules: object) -> None:
    pair.called.offer(allow=rules)
    assert pair.ask().status_code == 403
    pair.called.offer(allow=["GET /*"])
    pair.called.door.change(obligations={"paths": rules})
    assert pair.ask().status_code == 403
    pair.called.door.change(obligations={"days": 3, "telepathy": True})
    pair.refused(403, "obligation_unknown")
    assert pair.upstream.came == []


def test_a_grant_of_files_has_nothing_to_call(pair: Pair) -> None:
    pair.called.door.change(connector="files")
    try:
        pair.refused(404, "nothing_to_call")
    finally:
        pair.called.door.change(connector="http")


def test_no_token_no_call(pair: Pair) -> None:
    answer = httpx.post(pair.called.url("x"), content=b"1")
    assert answer.status_code == 401
    pair.called.door.change(status="revoked")
    pair.refused(403, "grant_revoked")
    assert pair.upstream.came == []


# ---- before a byte is released -----------------------------------------------------------------


def test_a_use_is_recorded_before_a_byte_reaches_the_service(pair: Pair) -> None:
    seen: list[int] = []
    pair.called.door.before_record = lambda: (time.sleep(0.1), seen.append(len(pair.upstream.came)))
    assert pair.ask("x", "POST", content=b"body").status_code == 200
    assert seen == [0]


def test_a_use_that_is_not_recorded_reaches_nobody(pair: Pair) -> None:
    pair.called.door.before_record = lambda: pair.called.door.change(status="revoked")
    pair.refused(403, "grant_revoked", "x", "POST", content=b"body")
    pair.reset()
    pair.called.door.away.add("record")
    try:
        pair.refused(503, "exchange_unavailable", "x", "POST", content=b"body")
    finally:
        pair.called.door.away.clear()
    pair.called.connections.away = True
    pair.refused(503, "exchange_unavailable")
    assert pair.upstream.came == []


def test_a_version_is_of_all_but_the_secret(pair: Pair) -> None:
    def version() -> str:
        pair.called.door.uses.clear()
        assert pair.ask().status_code == 200
        (use,) = pair.called.door.uses.values()
        return use.object_version

    first = version()
    assert hashlib.sha256().digest_size * 2 == len(first)
    pair.called.connect(secret={"value": "another"})
    assert version() == first
    assert pair.upstream.came[-1].one("x-api-key") == "another"
    pair.called.offer(seconds=30)
    second = version()
    pair.called.connect(url=pair.upstream.url + "/v2")
    assert len({first, second, version()}) == 3


# ---- connections to the service ----------------------------------------------------------------


def test_a_connection_is_used_again_and_left_when_anything_changes(pair: Pair) -> None:
    before = pair.upstream.accepted
    for _ in range(5):
        assert pair.ask("x", "POST", content=b"abc").status_code == 200
    assert pair.upstream.accepted == before + 1
    pair.called.connect()  # another rev
    assert pair.ask().status_code == 200
    assert pair.upstream.accepted == before + 2


def test_a_connection_that_the_service_ended_meanwhile_is_not_used(pair: Pair) -> None:
    async def once(visit: Visit, _came: Came) -> None:
        await visit.send(answer())
        raise ConnectionError

    pair.upstream.act = once
    for _ in range(8):
        assert pair.ask("x", "POST", content=b"abc").status_code == 200
    assert len(pair.upstream.came) == 8


def test_a_continue_is_asked_for_only_when_the_call_is_made(pair: Pair) -> None:
    pair.called.offer(allow=["POST /yes"])
    lines = (f"Authorization: {pair.called.token}", "Content-Length: 4", "Expect: 100-continue")
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/no", *lines, method="POST")
        assert read_head(connection)[0] == 403
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/yes", *lines, method="POST")
        assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert read_head(connection)[0] == 200
    (came,) = pair.upstream.came
    assert (bytes(came.body), came.all("expect")) == (b"body", [])
