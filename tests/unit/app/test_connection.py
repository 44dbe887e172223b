"""The parser of one connection: heads and trailers end, and what is not HTTP gets a problem."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn
from uvicorn.server import ServerState

from exchange.connection import BoundedProtocol

LIMIT, SECONDS = 2048, 0.4


async def app(scope, receive, send) -> None:
    """Answer with the length of the body, at /slow after a while."""
    read, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        read, more = read + len(message["body"]), message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(SECONDS * 2)
    body = str(read).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=SECONDS,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=LIMIT,
    )
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()


async def conversation(port: int, *pieces: bytes | float) -> bytes:
    """Send pieces with pauses, and return all that comes until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                writer.write(piece)
                await writer.drain()
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def problem(data: bytes) -> tuple[int, str]:
    """Status and code of the only answer in some bytes."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head
    document = json.loads(body)
    assert f"x-request-id: {document['request_id']}".encode() in head
    return int(head.split()[1]), document["type"].rpartition(":")[2]


GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_requests_are_served_one_after_the_other_and_pipelined(port: int):
    post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    data = await conversation(port, GET, 0.1, post, 0.1, GET + post + GET)
    assert [part.rpartition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"0",
        b"5",
        b"0",
        b"5",
        b"0",
    ]


async def test_a_large_body_is_no_large_head(port: int):
    size = 40 * LIMIT
    head = f"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode()
    assert (await conversation(port, head + b"x" * size)).endswith(str(size).encode())
    chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"800\r\n" + b"x" * 2048 + b"\r\n"
    data = await conversation(port, chunked, *[chunks] * 40, b"0\r\nTrailer: fine\r\n\r\n")
    assert data.endswith(str(size).encode())


@pytest.mark.parametrize("piece", [b"x" * 100, b"X-Header: value\r\n"])
async def test_a_head_without_end(port: int, piece: bytes):
    pieces = [b"GET / HTTP/1.1\r\nX-First: "] + [piece] * (LIMIT // len(piece) + 2)
    assert problem(await conversation(port, *pieces)) == (431, "head_too_large")


async def test_a_url_without_end(port: int):
    data = await conversation(port, b"GET /" + b"x" * (LIMIT + 1))
    assert problem(data) == (431, "head_too_large")


@pytest.mark.parametrize("piece", [b"x" * 100, b"X-Trailer: value\r\n"])
async def test_trailers_without_end(port: int, piece: bytes):
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: "
    pieces = [head, 0.1] + [piece] * (LIMIT // len(piece) + 2)
    assert problem(await conversation(port, *pieces)) == (431, "head_too_large")


async def test_a_slow_head(port: int):
    trickle = [byte for n in range(40) for byte in (b"x", SECONDS / 8)]
    started = asyncio.get_running_loop().time()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")

    async def send() -> None:
        for piece in trickle:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                writer.write(piece)

    sending = asyncio.create_task(send())
    data = await asyncio.wait_for(reader.read(), 5)
    sending.cancel()
    writer.close()
    assert problem(data) == (408, "head_too_slow")
    assert asyncio.get_running_loop().time() - started < SECONDS * 3


async def test_a_connection_that_asks_nothing_is_closed_without_a_word(port: int):
    assert await conversation(port) == b""
    assert await conversation(port, b"\r\n") != b"HTTP/1.1 200"


async def test_an_idle_connection_is_closed_and_stray_line_ends_do_not_keep_it(port: int):
    data = await conversation(port, GET, SECONDS / 2, b"\r\n", SECONDS / 2, b"\r\n")
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert data.count(b"HTTP/1.1") <= 2


async def test_a_slow_answer_is_not_cut(port: int):
    data = await conversation(port, GET.replace(b"/ ", b"/slow "))
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert data.endswith(b"0")


@pytest.mark.parametrize(
    "data",
    [b"\x00\x01\x02\x03\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA : b\r\n\r\n"],
)
async def test_what_is_not_http(port: int, data: bytes):
    assert problem(await conversation(port, data)) == (400, "not_http")
