"""A platform's service that misbehaves on order, and keeps what came, byte for byte.

It reads requests by a parser of its own, strictly: what it cannot read as exactly one request after
another goes into `garbage`, and fails the test that looks at it.
"""

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HEAD = re.compile(rb"([A-Z]+) (/[\x21-\x7e]*) HTTP/1\.1")


@dataclass
class Came:
    """One request as it came: its head's bytes, and what they say."""

    raw: bytes
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    whole: bool = False
    trailers: bytes = b""
    gone: threading.Event = field(default_factory=threading.Event)  # its connection ended

    def all(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value


class Visit:
    """One connection of the gateway's: for acts to answer on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes, every: float = 0) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if every:
                await asyncio.sleep(every)

    async def hang(self) -> None:
        """Say nothing until the other side goes away."""
        while await self.reader.read(65536):
            pass
        raise ConnectionError

    def reset(self) -> None:
        self.writer.transport.abort()


Act = Callable[[Visit, Came], Awaitable[None]]


def answer(body: bytes = b"ok", status: str = "200 OK", *lines: bytes) -> bytes:
    head = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def raw(*pieces: bytes, close: bool = False, reset: bool = False, every: float = 0) -> Act:
    """An act that sends these bytes, as they are."""

    async def act(visit: Visit, came: Came) -> None:
        await visit.send(*pieces, every=every)
        if reset:
            visit.reset()
        if close or reset:
            raise ConnectionError

    return act


async def usual(visit: Visit, came: Came) -> None:
    whole = answer(b"{}", "200 OK", b"Content-Type: application/json")
    await visit.send(whole.removesuffix(b"{}") if came.method == "HEAD" else whole)


class Upstream:
    """`with Upstream() as u`: `u.url`, `u.came`, `u.garbage`; `u.act` answers what has come whole.

    `u.early` acts when a head has come, before its body; `u.accepting` turned off hangs up at once.
    """

    def __init__(
        self,
        act: Act | None = None,
        *,
        keep_bodies: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.act: Act = act or usual
        self.early: Act | None = None
        self.keep_bodies, self._tls = keep_bodies, tls
        self.came: list[Came] = []
        self.garbage: list[bytes] = []
        self.accepted = 0
        self.open = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> "Upstream":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __enter__(self) -> "Upstream":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, limit=1 << 20, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.accepted += 1
        self.open += 1
        began = len(self.came)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    await self._one(reader, writer)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            for came in self.came[began:]:
                came.gone.set()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.garbage.append(error.partial)
            raise
        came = self._parse(head)
        self.came.append(came)
        visit = Visit(reader, writer)
        if self.early:
            await self.early(visit, came)
        async for piece in self._body(reader, came):
            came.size += len(piece)
            if self.keep_bodies:
                came.body += piece
        came.whole = True
        await self.act(visit, came)

    def _parse(self, head: bytes) -> Came:
        first, *lines = head[:-4].split(b"\r\n")
        found = HEAD.fullmatch(first)
        if not found or b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
            self.garbage.append(head)
            raise ConnectionError
        headers = []
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not re.fullmatch(rb"[A-Za-z0-9-]+", name):
                self.garbage.append(head)
                raise ConnectionError
            headers.append((name.decode().lower(), value.strip().decode("latin-1")))
        return Came(head, found[1].decode(), found[2].decode(), headers)

    async def _body(self, reader: asyncio.StreamReader, came: Came) -> AsyncIterator[bytes]:
        lengths, codings = came.all("content-length"), came.all("transfer-encoding")
        if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
            self.garbage.append(came.raw)
            raise ConnectionError
        left = int(lengths[0]) if lengths else 0
        while left > 0:
            piece = await reader.read(min(left, 1 << 18))
            if not piece:
                raise ConnectionError
            left -= len(piece)
            yield piece
        while codings:
            size = int(await reader.readuntil(b"\r\n"), 16)
            if not size:
                while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                    came.trailers += line
                return
            yield await reader.readexactly(size)
            if await reader.readexactly(2) != b"\r\n":
                self.garbage.append(b"chunk")
                raise ConnectionError

    def wait_for(self, count: int, seconds: float = 10) -> list[Came]:
        """Wait until so many requests came."""
        end = time.monotonic() + seconds
        while len(self.came) < count:
            assert time.monotonic() < end, f"{len(self.came)} came"
            time.sleep(0.005)
        return self.came
