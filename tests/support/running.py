"""Streams that run at an exchange of several workers, and lines to the worker of one's choice."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.server import ExchangeServer
from tests.support.workers import holder, workers_of
from tests.unit.connectors.served import ask, connect, read_head, read_on

TRIES = 200
SLOWLY, QUICKLY = 0.004, 0.0005  # seconds between two readings
ON_ITS_WAY = 16 << 20  # more than buffers hold


def worker_of(server: ExchangeServer, line: socket.socket) -> int:
    """The worker that has a connection on which something was answered."""
    found = holder(workers_of(server), server.port, line.getsockname()[1])
    assert found is not None, "nobody has it"
    return found


def line_to(server: ExchangeServer, worker: int) -> socket.socket:
    """Open connections until this worker accepts one."""
    for _ in range(TRIES):
        line = connect(server.port)
        said(line, "GET", "/healthz")
        if worker_of(server, line) == worker:
            return line
        line.close()
    raise AssertionError("the worker takes no connection")


def said(line: socket.socket, method: str, path: str, token: str = "") -> tuple[int, bytes]:
    """Ask on a connection that stays; a POST has an empty document. Status and body."""
    lines = [f"Authorization: Bearer {token}"] if token else []
    if method == "POST":
        lines += ["Content-Type: application/json", "Content-Length: 2"]
    ask(line, path, *lines, method=method)
    if method == "POST":
        line.sendall(b"{}")
    status, headers, body = read_head(line)
    return status, body + read_on(line, int(headers["content-length"]) - len(body))


class Stream:
    """An answer that is read slowly while it runs, by a thread; quickly once told to hurry.

    Not at all until then, unless `reading`. `over` is set at its end, of which `at` is the moment
    (time.perf_counter); `whole` says whether it was the proper one.
    """

    def __init__(
        self, server: ExchangeServer, path: str, token: str, *, reading: bool = True
    ) -> None:
        self._line = connect(server.port)
        ask(self._line, path, f"Authorization: Bearer {token}")
        self.status, self._headers, body = read_head(self._line)
        self._got, self._last = len(body), body[-8:]
        self.worker = worker_of(server, self._line)
        self.over, self._reads, self._pause = threading.Event(), threading.Event(), SLOWLY
        if reading:
            self._reads.set()
        self.at, self._at_once = 0.0, 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def whole(self) -> bool:
        if "content-length" in self._headers:
            return self._got == int(self._headers["content-length"])
        return self._last.endswith(b"0\r\n\r\n")

    def hurry(self) -> None:
        """Read what is on its way as quickly as it comes, or the end would be seen late."""
        self._pause, self._at_once = QUICKLY, self._got + ON_ITS_WAY
        self._reads.set()

    def close(self) -> None:
        with suppress(OSError):  # the other side was quicker
            self._line.shutdown(socket.SHUT_RDWR)
        self._reads.set()
        self._thread.join(10)
        self._line.close()

    def _read(self) -> None:
        self._reads.wait()
        try:
            while piece := self._line.recv(1 << 16):
                self._got += len(piece)
                self._last = (self._last + piece)[-8:]
                if self._got > self._at_once:
                    time.sleep(self._pause)
        except ConnectionError:
            pass  # cut as well
        self.at = time.perf_counter()
        self.over.set()


@contextmanager
def on_each(server: ExchangeServer, path: str, token: str) -> Iterator[list[Stream]]:
    """Streams of one grant, one on each worker, that nobody reads yet."""
    wanted, running = set(workers_of(server)), dict[int, Stream]()
    try:
        for _ in range(TRIES):
            stream = Stream(server, path, token, reading=False)
            assert stream.status == 200
            if stream.worker in running:
                stream.close()
            running.setdefault(stream.worker, stream)
            if running.keys() == wanted:
                break
        assert running.keys() == wanted, "a worker takes no connection"
        yield list(running.values())
    finally:
        for stream in running.values():
            stream.close()
