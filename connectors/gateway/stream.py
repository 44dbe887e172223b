"""Streaming an opened object: counted, cut when anything is wrong, never padded."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.gateway.ranges import Span
from connectors.gateway.recorded import DeliveryCut, Recorded
from connectors.gateway.source import Opened, SourceBroken

STALL_SECONDS: Final = 120
"""How long a reader may take for one piece before the delivery is cut."""


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
        complete = False
        try:
            async with self._recorded.watched():
                complete = await self._stream(send, gone)
        except (SourceBroken, TimeoutError) as error:
            raise DeliveryCut(f"use {self._recorded.use_id} after {self._sent} bytes") from error
        finally:
            gone.cancel()
            await self._opened.close()
            await self._recorded.finished(self._sent, complete=complete)

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


async def _until_gone(receive: Receive) -> None:
    """Return when the reader has gone, or sends what may not be; a body is read and dropped."""
    with suppress(Exception):  # of the layers around: a body beyond their limit, a lost connection
        while (await receive())["type"] != "http.disconnect":
            pass
