"""Bodies up and down: piece by piece, held back, cut by whoever goes, never ended falsely."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from connectors.forward.limits import Waits
from tests.support.called import Pair, paired, read_whole
from tests.support.upstream import Came, Visit, answer
from tests.unit.connectors.served import ask, connect, read_head, until
from tests.unit.connectors.world import GRANT

MIB = 1 << 20
BIG = 64 * MIB
PATIENT = Waits(first_byte=20, between=20)  # what is sent is the matter here, not how soon


@pytest.fixture(scope="module")
def served() -> Iterator[Pair]:
    with paired(waits=PATIENT) as pair:
        yield pair


@pytest.fixture
def pair(served: Pair) -> Pair:
    served.reset()
    return served


def test_events_arrive_one_by_one(pair: Pair) -> None:
    go = threading.Event()

    async def events(visit: Visit, _came: Came) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        await visit.send(head + b"\r\n\r\n")
        for number in range(5):
            await asyncio.to_thread(go.wait)  # the next only when the last has arrived
            go.clear()
            event = b"data: %d\n\n" % number
            await visit.send(b"%x\r\n%s\r\n" % (len(event), event))
        await visit.send(b"0\r\n\r\n")

    pair.upstream.act = events
    got = []
    with httpx.stream("GET", pair.called.url("events"), headers=pair.called.headers) as response:
        assert response.headers["x-accel-buffering"] == "no"
        assert "content-length" not in response.headers
        go.set()
        for piece in response.iter_raw():
            got.append(piece)
            go.set()
    assert got == [b"data: %d\n\n" % number for number in range(5)]
    assert pair.ends() == [(45, True)]


def test_both_directions_at_once(pair: Pair) -> None:
    """The service answers each piece of a body before the next is sent."""

    async def echo(visit: Visit, came: Came) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while size := int(await visit.reader.readuntil(b"\r\n"), 16):
            piece = (await visit.reader.readexactly(size + 2))[:-2]
            await visit.send(b"%x\r\n%s\r\n" % (size, piece))
        await visit.reader.readuntil(b"\r\n")
        await visit.send(b"0\r\n\r\n")
        came.whole = True
        raise ConnectionError

    pair.upstream.early = echo
    with connect(pair.called.port) as connection:
        lines = (f"Authorization: {pair.called.token}", "Transfer-Encoding: chunked")
        ask(connection, f"/gateway/grants/{GRANT}/call/echo", *lines, method="POST")
        got = b""
        for word in (b"one", b"two", b"three"):
            connection.sendall(b"%x\r\n%s\r\n" % (len(word), word))
            while word not in got:
                got += connection.recv(65536)
        connection.sendall(b"0\r\n\r\n")
        while b"0\r\n\r\n" not in got:
            got += connection.recv(65536)
    assert pair.ends() == [(11, True)]


def test_an_early_answer_ends_the_sending(pair: Pair) -> None:
    async def refuse(visit: Visit, _came: Came) -> None:
        await visit.send(answer(b"no", "413 Too Large"))
        await visit.hang()

    pair.upstream.early = refuse

    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield bytes(4096)
            time.sleep(0.01)

    response = pair.ask("x", "POST", content=endless())
    assert (response.status_code, response.content) == (413, b"no")
    assert pair.upstream.came[0].size < 200 * 4096


def pieces(total: int) -> Iterator[bytes]:
    for _ in range(total // MIB):
        yield bytes(range(256)) * (MIB // 256)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_64_mib_up(pair: Pair, chunked: bool) -> None:
    pair.called.offer(max_request_bytes=BIG)
    headers = {} if chunked else {"Content-Length": str(BIG)}
    response = pair.ask("x", "PUT", content=pieces(BIG), headers=headers)
    assert response.status_code == 200
    (came,) = pair.upstream.came
    assert came.size == BIG
    assert hashlib.sha256(came.body).digest() == hashlib.sha256(b"".join(pieces(BIG))).digest()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_64_mib_down(pair: Pair, chunked: bool) -> None:
    async def big(visit: Visit, _came: Came) -> None:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % BIG
        await visit.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for piece in pieces(BIG):
            await visit.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        await visit.send(b"0\r\n\r\n" if chunked else b"")

    pair.upstream.act = big
    digest, size = hashlib.sha256(), 0
    with httpx.stream("GET", pair.called.url("big"), headers=pair.called.headers) as response:
        assert response.headers.get("content-length") == (None if chunked else str(BIG))
        for piece in response.iter_raw():
            digest.update(piece)
            size += len(piece)
    assert (size, digest.digest()) == (BIG, hashlib.sha256(b"".join(pieces(BIG))).digest())
    assert pair.ends() == [(BIG, True)]


def test_a_reader_that_stops_holds_the_service_back(pair: Pair) -> None:
    sent = 0

    async def endless(visit: Visit, _came: Came) -> None:
        nonlocal sent
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
        for piece in pieces(BIG):
            await visit.send(piece)
            sent += len(piece)

    pair.upstream.act = endless
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", f"Authorization: {pair.called.token}")
        read_head(connection)
        time.sleep(0.5)
        stopped = sent
        time.sleep(0.3)
        assert sent == stopped < 24 * MIB
    assert pair.upstream.came[0].gone.wait(5)
    assert pair.ends()[0][1] is False


def test_a_caller_that_leaves_ends_the_call_at_the_service(pair: Pair) -> None:
    async def hang(visit: Visit, _came: Came) -> None:
        await visit.hang()

    pair.upstream.act = hang
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", f"Authorization: {pair.called.token}")
        pair.upstream.wait_for(1)
    assert pair.upstream.came[0].gone.wait(1)
    assert pair.ends() == [(0, False)]


def test_a_caller_that_leaves_amid_its_body_ends_the_call_at_the_service(pair: Pair) -> None:
    lines = (f"Authorization: {pair.called.token}", "Content-Length: 100")
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", *lines, method="POST")
        connection.sendall(b"half")
        pair.upstream.wait_for(1)
        until(lambda: pair.upstream.came[0].size == 4)
    assert pair.upstream.came[0].gone.wait(1)
    assert not pair.upstream.came[0].whole
    assert pair.ends() == [(0, False)]


@pytest.mark.parametrize("begun", [False, True])
def test_a_revocation_cuts_a_running_call(pair: Pair, begun: bool) -> None:
    async def slow(visit: Visit, _came: Came) -> None:
        if begun:
            await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while begun:
            await visit.send(b"1\r\nx\r\n", every=0.05)
        await visit.hang()

    pair.upstream.act = slow
    with connect(pair.called.port) as connection:
        ask(connection, f"/gateway/grants/{GRANT}/call/x", f"Authorization: {pair.called.token}")
        pair.upstream.wait_for(1)
        pair.called.door.change(status="revoked")
        status, _, body = read_head(connection) if begun else read_whole(connection)
        while piece := connection.recv(65536) if begun else b"":
            body += piece
    assert status == (200 if begun else 403)
    assert not body.endswith(b"0\r\n\r\n")
    assert begun or b"urn:exchange:problem:grant_" in body
    assert pair.upstream.came[0].gone.wait(1)
    assert pair.ends()[0][1] is False
