"""Services whose answers are odd and no fault: they arrive whole, without what is nobody's."""

import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from tests.support.called import CHUNKED, OK, Pair, paired, received
from tests.support.upstream import answer, raw
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


WHOLE = {
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(),
    "HTTP/1.0 with a length": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 to its end": b"HTTP/1.0 200 OK\r\n\r\nok",
    "HTTP/1.1 to its end": b"HTTP/1.1 200 OK\r\n\r\nok",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "chunks with extensions": CHUNKED + b"1;a=b\r\no\r\n001\r\nk\r\n0;z\r\n\r\n",
    "trailers": CHUNKED + b"2\r\nok\r\n0\r\nX-Trailer: secret\r\nSet-Cookie: a=b\r\n\r\n",
    "no reason phrase": b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_is_odd_and_whole_arrives_whole(pair: Pair, what: str) -> None:
    pair.upstream.act = raw(WHOLE[what], close=True)
    status, data = received(pair)
    assert status == 200
    assert data in (b"ok", b"2\r\nok\r\n0\r\n\r\n", b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n")
    assert pair.ends() == [(2, True)]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body(pair: Pair, status: str) -> None:
    head = f'HTTP/1.1 {status}\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n'.encode()
    pair.upstream.act = raw(
        head.replace(b"Content-Length: 5\r\n", b"") if "204" in status else head
    )
    for _ in range(2):
        response = pair.ask()
        assert (response.status_code, response.content) == (int(status[:3]), b"")
        assert response.headers["etag"] == '"x"'


def test_a_services_own_error_is_the_callers_to_see(pair: Pair) -> None:
    for status in (
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "429 Slow",
        "500 Oh",
        "599 X",
    ):
        pair.upstream.act = raw(answer(b"why", status, b"Retry-After: 3"))
        response = pair.ask()
        assert (response.status_code, response.content) == (int(status[:3]), b"why")
        assert response.headers["retry-after"] == "3"


def test_what_comes_beyond_an_answer_is_nobodys(pair: Pair) -> None:
    """Or the next call would get it as its answer."""
    for act in (
        raw(OK + b"Content-Length: 2\r\n\r\nok and more"),
        raw(answer(), answer(b"POISON")),
    ):
        pair.upstream.act = act
        for _ in range(8):
            assert pair.ask().content == b"ok"
            time.sleep(0.01)


def test_what_comes_late_is_never_another_grants(pair: Pair) -> None:
    """One HTTP/1.1 connection cannot tell an answer that nobody asked for from the next one."""
    grant = pair.called.door.grants[GRANT]
    pair.called.door.grants[OTHER_GRANT] = replace(grant, grant_id=OTHER_GRANT)
    other = {"Authorization": f"Bearer {pair.called.issuer.token(OTHER_GRANT)}"}
    where = pair.called.url("x").replace(GRANT, OTHER_GRANT)
    pair.upstream.act = raw(answer(), answer(b"POISON"), every=0.03)
    for _ in range(8):
        pair.ask()
        assert httpx.get(where, headers=other).content == b"ok"
        time.sleep(0.1)


def test_headers_that_do_not_come_back(pair: Pair) -> None:
    dropped = (
        *(b"Set-Cookie: a=b", b"Server: nginx", b"X-Powered-By: us", b"Location: /x"),
        *(
            b"Alt-Svc: h3",
            b"Strict-Transport-Security: max-age=1",
            b"X-Accel-Redirect: /etc/passwd",
        ),
        *(b"Access-Control-Allow-Origin: *", b"Clear-Site-Data: *", b"Connection: X-Named, close"),
        *(b"X-Named: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic", b"Via: 1.1 me"),
        *(b"Exchange-Use: forged", b"Cache-Control: public", b"Upgrade: h2c", b"Trailer: X"),
    )
    kept = (b"Content-Type: text/plain", b"X-Own: yes", b'ETag: "1"', b"Content-Encoding: br")
    pair.upstream.act = raw(answer(b"ok", "200 OK", *dropped, *kept), close=True)
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", f"Authorization: {pair.called.token}")
        _, headers, _ = read_head(connection)
    assert set(headers) == {
        *("content-type", "x-own", "etag", "content-encoding", "content-length", "date"),
        *("cache-control", "content-security-policy", "x-content-type-options"),
        *("referrer-policy", "x-frame-options", "x-request-id", "exchange-use"),
    }
    assert headers["exchange-use"] in pair.called.door.uses
    assert headers["cache-control"] == "no-store, no-transform"
