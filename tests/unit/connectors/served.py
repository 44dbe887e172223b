"""A gateway on a real server and socket, and requests written by hand."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[int]:
    """Serve on a free loopback port, as the exchange does: uvloop and httptools."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", loop="uvloop", http="httptools", lifespan="off")
    )
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    """A connection with a small window, so that a server cannot send far ahead."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", port))
    return connection


def ask(connection: socket.socket, target: str, *lines: str, method: str = "GET") -> None:
    head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: gateway.test", *lines, "", ""])
    connection.sendall(head.encode("latin-1"))


def read_head(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and what of the body came along."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    return int(first.split(" ")[1]), {name.lower(): value for name, _, value in pairs}, rest


def read_on(connection: socket.socket, wanted: int) -> bytes:
    """Up to `wanted` more bytes; fewer where the connection ends or breaks."""
    parts = []
    while wanted > 0:
        try:
            part = connection.recv(min(wanted, 1 << 20))
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def exchange(port: int, target: str, *lines: str, method: str = "GET") -> tuple[int, bytes]:
    """One request on a connection of its own: status, and head and body as they came."""
    with connect(port) as connection:
        ask(connection, target, "Connection: close", *lines, method=method)
        data = read_on(connection, 1 << 30)
    return int(data.split(b" ", 2)[1]), data


def until(condition, seconds: float = 10) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def run(awaitable):
    return asyncio.run(awaitable)
