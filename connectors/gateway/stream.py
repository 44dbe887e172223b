"""Streaming an opened object: counted, cut when anything is wrong, never padded."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.gateway.door import Door
from connectors.gateway.ranges import Span
from connectors.gateway.source import Opened, SourceBroken

STALL_SECONDS: Final = 120
"""How long a reader may take for one piece before the delivery is cut."""

WATCH_SECONDS: Final = 0.5
"""How often a delivery asks whether its grant still stands."""

_log = logging.getLogger(__name__)


class DeliveryCut(Exception):
    """A delivery that had begun and cannot go on; the server closes the connection on it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A use that the exchange has recorded: what is needed to go on, and to say how it ended."""

    use_id: str
    door: Door
    stands: Callable[[], Awaitable[bool]]


class ObjectStream(Response):
    """Sends one span of an opened object, closes it, and tells the door how the use ended."""

    def __init__(
        self,
        opened: Opened,
        span: Span,
        recorded: Recorded,
        status_code: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, status_code, headers)
        self._opened = opened
        self._span = span
        self._recorded = recorded
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run as an ASGI application. Raises DeliveryCut once the headers are out."""
        gone = asyncio.create_task(_until_gone(receive))
        watch, complete = None, False
        try:
            async with asyncio.timeout(None) as limit:
                watch = asyncio.create_task(self._watch(limit))
                complete = await self._stream(send, gone)
        except (SourceBroken, TimeoutError) as error:
            raise DeliveryCut(f"use {self._recorded.use_id} after {self._sent} bytes") from error
        finally:
            gone.cancel()
            if watch is not None:
                watch.cancel()
            await self._opened.close()
            await self._finished(complete)

    async def _stream(self, send: Send, gone: asyncio.Task[None]) -> bool:
        """Send all; False when the reader went away before the end."""
        head = {"type": "http.response.start", "status": self.status_code}
        await send({**head, "headers": self.raw_headers})
        pieces = self._opened.read(self._span.first, self._span.last)
        try:
            async for piece in pieces:
                if gone.done():
                    return False
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                self._sent += len(piece)
        finally:
            await pieces.aclose()
        if self._sent != self._span.length:
            raise SourceBroken("the source gave another number of bytes than it was asked for")
        # An empty piece waits until the server has let go of the last one, or lost the reader.
        async with asyncio.timeout(STALL_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": True})
        await asyncio.sleep(0)
        if gone.done():
            return False
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return True

    async def _watch(self, limit: asyncio.Timeout) -> None:
        """End the delivery once the grant no longer stands, or nobody can say that it does."""
        stands = True
        while stands:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                stands = await self._recorded.stands()
            except Exception:
                _log.warning("whether a grant stands cannot be told", exc_info=True)
                stands = False
        limit.reschedule(asyncio.get_running_loop().time())

    async def _finished(self, complete: bool) -> None:
        try:
            await self._recorded.door.finished(self._recorded.use_id, self._sent, complete)
        except Exception:
            # Best effort: a use without an end is closed as "unknown" by the exchange.
            _log.warning("the end of use %s was not recorded", self._recorded.use_id, exc_info=True)


async def _until_gone(receive: Receive) -> None:
    """Return when the reader has gone, or sends what may not be; a body is read and dropped."""
    with suppress(Exception):  # of the layers around: a body beyond their limit, a lost connection
        while (await receive())["type"] != "http.disconnect":
            pass
