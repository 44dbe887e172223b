"""Services that are slow, hang, break off or speak no HTTP: a typed problem or a cut, no lie."""

import asyncio
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from connectors.forward import pool
from connectors.forward.limits import Waits
from tests.support.called import CHUNKED, OK, SECRET, Pair, paired, read_whole, received
from tests.support.upstream import Came, Visit, answer, raw
from tests.unit.connectors.served import ask, connect
from tests.unit.connectors.world import GRANT


@pytest.fixture(scope="module")
def served() -> Iterator[Pair]:
    with paired() as pair:
        yield pair


@pytest.fixture
def pair(served: Pair) -> Pair:
    served.reset()
    return served


# ---- before the answer begins: a problem -------------------------------------------------------

NO_ANSWER = {
    "closes at once": b"",
    "closes in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a header without a colon": OK + b"nonsense\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "NUL in a header": OK + b"X: a\0b\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "a length that is none": OK + b"Content-Length: -2\r\n\r\nok",
    "a length with a plus": OK + b"Content-Length: +2\r\n\r\nok",
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "gzip, chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "xchunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "one huge header": OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": OK + b"X-Many: yes\r\n" * 10_000 + b"\r\n",
    "a flood of 1xx": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
}


@pytest.mark.parametrize("what", NO_ANSWER)
def test_what_is_no_answer(pair: Pair, what: str) -> None:
    pair.upstream.act = raw(NO_ANSWER[what], close=True)
    pair.refused(502, "upstream_broken")
    assert len(pair.upstream.came) == 1, "a call is never sent twice"
    assert pair.ends() == [(0, False)]


def test_an_endless_head_is_not_read_to_its_end(pair: Pair) -> None:
    sent = 0

    async def endless(visit: Visit, _came: Came) -> None:
        nonlocal sent
        await visit.send(OK)
        while True:
            await visit.send(b"X-Endless: " + b"y" * 1000 + b"\r\n")
            sent += 1013

    pair.upstream.act = endless
    pair.refused(502, "upstream_broken")
    assert sent < 16 << 20


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
def test_a_redirect_is_not_followed_and_its_address_not_shown(pair: Pair, status: int) -> None:
    there = f"Location: {pair.upstream.url}/other".encode()
    pair.upstream.act = raw(answer(b"go", f"{status} Elsewhere", there))
    document = pair.refused(502, "upstream_redirects")
    assert "redirect" in document["detail"]
    assert [came.target for came in pair.upstream.came] == ["/x"]


@pytest.mark.parametrize("status", ["401 Unauthorized", "407 Proxy Authentication Required"])
def test_a_credential_that_is_refused_is_the_platforms(pair: Pair, status: str) -> None:
    pair.upstream.act = raw(answer(SECRET.encode(), status, b"WWW-Authenticate: Bearer"))
    pair.refused(502, "upstream_refused_credential")


def test_nobody_listens(pair: Pair) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    pair.called.connect(url=f"http://127.0.0.1:{port}")
    document = pair.refused(502, "upstream_unreachable")
    assert str(port) not in str(document)
    assert "127.0.0.1" not in str(document)
    assert pair.called.door.uses == {}, "what cannot be reached is not counted"


def test_a_name_that_does_not_resolve(pair: Pair) -> None:
    pair.called.connect(url="https://nowhere.invalid")
    assert "nowhere" not in str(pair.refused(502, "upstream_unreachable"))
    assert pair.called.door.uses == {}


def test_a_service_that_takes_no_connection(pair: Pair) -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex(full.getsockname())
    try:
        pair.called.connect(url=f"http://127.0.0.1:{full.getsockname()[1]}")
        started = time.monotonic()
        pair.refused(504, "upstream_timed_out")
        assert time.monotonic() - started < 5
        assert pair.called.door.uses == {}
    finally:
        for each in (*waiting, full):
            each.close()


def test_a_service_that_speaks_no_tls(pair: Pair) -> None:
    pair.called.connect(url=pair.upstream.url.replace("http:", "https:"))
    pair.refused(504, "upstream_timed_out")  # it waits for the end of a head
    assert pair.called.door.uses == {}
    pair.upstream.garbage.clear()


def test_a_service_that_hangs_before_its_answer(pair: Pair) -> None:
    async def hang(visit: Visit, _came: Came) -> None:
        await visit.hang()

    pair.upstream.act = hang
    started = time.monotonic()
    pair.refused(504, "upstream_timed_out", "x", "POST", content=b"body")
    assert 1 < time.monotonic() - started < 6
    assert pair.upstream.came[0].gone.wait(2)
    assert pair.ends() == [(0, False)]


def test_a_head_that_drips(pair: Pair) -> None:
    pair.upstream.act = raw(OK, *[b"X: 1\r\n"] * 100, every=0.1)
    pair.refused(504, "upstream_timed_out")


def test_interim_answers_do_not_lengthen_the_wait(pair: Pair) -> None:
    pair.upstream.act = raw(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 15, every=0.3)
    pair.refused(504, "upstream_timed_out")


def test_a_service_that_does_not_read_the_body(pair: Pair) -> None:
    async def hang(_visit: Visit, _came: Came) -> None:
        await asyncio.sleep(60)

    pair.upstream.early = hang
    pair.called.offer(max_request_bytes=64 << 20)
    pair.refused(504, "upstream_timed_out", "x", "POST", content=bytes(48 << 20))


def test_an_offerings_own_time(pair: Pair) -> None:
    async def hang(visit: Visit, _came: Came) -> None:
        await visit.hang()

    pair.upstream.act = hang
    pair.called.offer(seconds=0.3)
    started = time.monotonic()
    pair.refused(504, "upstream_timed_out")
    assert time.monotonic() - started < 1.4


def test_a_caller_that_sends_no_body(pair: Pair) -> None:
    with connect(pair.called.port) as connection:
        lines = (f"Authorization: {pair.called.token}", "Content-Length: 9")
        ask(connection, f"/gateway/grants/{GRANT}/call/x", *lines, method="POST")
        status, headers, body = read_whole(connection)
    assert status == 408
    assert headers["connection"] == "close"
    assert b"body_too_slow" in body
    assert not pair.upstream.came[0].whole


def test_as_many_at_once_as_a_service_is_given(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_AT_ONCE", 2)
    monkeypatch.setattr(pair.called.source, "waits", Waits(slot=0.3))

    async def hang(visit: Visit, _came: Came) -> None:
        await visit.hang()

    pair.upstream.act = hang
    pair.called.connect()  # a pool of its own
    held = [connect(pair.called.port) for _ in range(2)]
    for connection in held:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", f"Authorization: {pair.called.token}")
    pair.upstream.wait_for(2)
    pair.refused(503, "upstream_busy")
    assert len(pair.called.door.uses) == 2
    for connection in held:
        connection.close()
    pair.ends(2)
    pair.upstream.act = raw(answer())
    assert pair.ask().status_code == 200


# ---- sizes -------------------------------------------------------------------------------------


def test_a_body_beyond_the_offerings_limit_goes_nowhere(pair: Pair) -> None:
    pair.called.offer(max_request_bytes=1000)
    pair.refused(413, "call_too_large", "x", "POST", content=bytes(1001))
    assert pair.upstream.came == []
    assert pair.called.door.uses == {}
    assert pair.ask("x", "POST", content=bytes(1000)).status_code == 200


def test_a_body_of_no_known_length_ends_at_the_limit(pair: Pair) -> None:
    pair.called.offer(max_request_bytes=1000)
    with connect(pair.called.port) as connection:
        lines = (f"Authorization: {pair.called.token}", "Transfer-Encoding: chunked")
        ask(connection, f"/gateway/grants/{GRANT}/call/x", *lines, method="POST")
        connection.sendall(b"3e8\r\n" + bytes(1000) + b"\r\n1\r\nx\r\n")
        status, headers, body = read_whole(connection)
    assert (status, headers["connection"]) == (413, "close")
    assert b"call_too_large" in body
    for came in pair.upstream.came:  # none, where the line was gone before the service had read
        assert came.gone.wait(2)
        assert (came.size <= 1000, came.whole) == (True, False)


def test_an_answer_beyond_the_offerings_limit(pair: Pair) -> None:
    pair.called.offer(max_response_bytes=1000)
    pair.upstream.act = raw(answer(bytes(1001)))
    pair.refused(502, "upstream_too_large")
    pair.upstream.act = raw(answer(bytes(1000)))
    assert len(pair.ask().content) == 1000
    pair.upstream.act = raw(CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n1\r\nx\r\n0\r\n\r\n")
    status, data = received(pair)
    assert status == 200
    assert not data.endswith(b"0\r\n\r\n")
    assert pair.ends(3)[2][1] is False
    head = answer(bytes(1001)).replace(bytes(1001), b"")
    pair.upstream.act = raw(head)
    assert pair.ask("x", "HEAD").headers["content-length"] == "1001"


# ---- once the answer has begun: the connection is cut, never ended -----------------------------

CUT = {
    "a length that is not reached": OK + b"Content-Length: 100\r\n\r\nhalf",
    "no last chunk": CHUNKED + b"4\r\nhalf\r\n",
    "amid a chunk": CHUNKED + b"a\r\nhalf",
    "no size": CHUNKED + b"4\r\nhalf\r\n\r\n",
    "a size that is none": CHUNKED + b"4\r\nhalf\r\nzz\r\n",
    "a negative size": CHUNKED + b"4\r\nhalf\r\n-1\r\n",
    "a size too large to be one": CHUNKED + b"4\r\nhalf\r\n" + b"f" * 40 + b"\r\n",
    "a chunk longer than its size": CHUNKED + b"4\r\nhalf...\r\n0\r\n\r\n",
    "an endless line of extensions": CHUNKED + b"4\r\nhalf\r\n1;" + b"x" * 200_000,
    "endless trailers": CHUNKED + b"4\r\nhalf\r\n0\r\n" + b"X-T: 1\r\n" * 50_000,
    "trailers that are none": CHUNKED + b"4\r\nhalf\r\n0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("what", CUT)
def test_what_breaks_off_is_cut(pair: Pair, what: str, how: str) -> None:
    pair.upstream.act = raw(CUT[what], close=True, reset=how == "reset")
    if how == "reset":  # the bytes must arrive before it

        async def late(visit: Visit, _came: Came) -> None:
            await visit.send(CUT[what])
            await asyncio.sleep(0.1)
            visit.reset()
            raise ConnectionError

        pair.upstream.act = late
    status, data = received(pair)
    if status == 200:
        assert not data.endswith(b"0\r\n\r\n")
        assert len(data) < 100, "neither padded"
        with pytest.raises(httpx.RemoteProtocolError):
            pair.ask()
    else:  # it was broken before its head had gone on
        assert status == 502
    assert pair.ends()[0][1] is False


def test_a_service_that_hangs_amid_its_answer(pair: Pair) -> None:
    async def half(visit: Visit, _came: Came) -> None:
        await visit.send(OK + b"Content-Length: 8\r\n\r\nhalf")
        await visit.hang()

    pair.upstream.act = half
    started = time.monotonic()
    status, data = received(pair)
    assert (status, data) == (200, b"half")
    assert time.monotonic() - started < 5
    assert pair.ends() == [(4, False)]


def test_an_answer_that_drips_beyond_the_offerings_time(pair: Pair) -> None:
    pair.called.offer(seconds=1)
    pair.upstream.act = raw(CHUNKED, *[b"1\r\nx\r\n"] * 100, every=0.05)
    started = time.monotonic()
    status, data = received(pair)
    assert time.monotonic() - started < 4
    assert status == 200
    assert not data.endswith(b"0\r\n\r\n")
    assert pair.ends()[0][1] is False
