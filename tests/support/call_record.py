"""A platform's service that writes down what reaches it, in a file of its own.

    GET /quick/NAME    the use's id, as JSON
    GET /long/NAME     the use's id on a line, then 48 KiB over a third of a second
    POST /take/NAME    takes a body, then as /quick

A line is written when a request's head has come, before anything is answered: whatever becomes of
the call then, it has reached the service.
"""

import json
import threading
from pathlib import Path
from typing import NamedTuple

from tests.support.upstream import Came, Upstream, Visit, answer

PIECE = b"x" * 8192
PIECES, EVERY_SECONDS = 6, 0.05
ANSWERED_BYTES = len(PIECE) * PIECES  # of /long, beside its first line


class Reached(NamedTuple):
    """One call as it reached the service; `call` is METHOD /path."""

    use_id: str
    grant_id: str
    call: str


class RecordingService(Upstream):
    """The service; `record` is where it writes."""

    def __init__(self, record: Path) -> None:
        super().__init__(self._answer, keep_bodies=False)
        self.early = self._note
        self.record = record
        self._file = record.open("a", encoding="ascii", buffering=1)
        self._came, self._peer, self._noted = threading.Event(), 0, 0

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._file.close()

    def reached(self) -> list[Reached]:
        """Return what it has written down."""
        return [Reached(*line.split("\t")) for line in self.record.read_text("ascii").splitlines()]

    def more_calls(self, count: int, seconds: float = 120) -> int:
        """Wait for so many more calls; return the port from which the last one's connection is."""
        end = self._noted + count
        while self._noted < end:
            self._came.clear()
            assert self._noted >= end or self._came.wait(seconds), "no call comes"
        return self._peer

    async def _note(self, visit: Visit, came: Came) -> None:
        given = [",".join(came.all(name)) for name in ("exchange-use", "exchange-grant")]
        self._file.write("\t".join([*given, f"{came.method} {came.target}"]) + "\n")
        self.came.remove(came)  # hundreds of thousands of them would be too many
        self._peer = visit.writer.get_extra_info("peername")[1]
        self._noted += 1
        self._came.set()

    async def _answer(self, visit: Visit, came: Came) -> None:
        use_id = came.one("exchange-use")
        if not came.target.startswith("/long/"):
            await visit.send(answer(json.dumps({"use": use_id}).encode()))
            return
        first = f"{use_id}\n".encode()
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in [first, *[PIECE] * PIECES]:
            await visit.send(b"%x\r\n%s\r\n" % (len(piece), piece), every=EVERY_SECONDS)
        await visit.send(b"0\r\n\r\n")
