"""A recorded call on its way: the body up, the answer down, both at once; never a false end.

Before the answer has begun, whatever goes wrong is a GatewayProblem; after that the connection is
cut. The caller's going away ends the service's connection too, and a service's answer that is
whole before the body was sent ends the sending.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from connectors.forward.headers import Header, answered
from connectors.forward.problems import broken, timed_out, upstream_problem
from connectors.forward.wire import UpstreamBroken, UpstreamSlow
from connectors.gateway.call_rules import Asked, too_large
from connectors.gateway.problems import GatewayProblem
from connectors.gateway.recorded import DeliveryCut, Interruption, Recorded
from connectors.http import Call

_NO_BODY: Final = (204, 304)


class ForwardedCall(Response):
    """Sends a call on, and what comes back; closes its connection, and tells how the use ended."""

    def __init__(self, call: Call, asked: Asked, headers: list[Header], recorded: Recorded) -> None:
        super().__init__(None)
        self._call, self._asked, self._out = call, asked, headers
        self._recorded = recorded
        self._limits, self._waits = call.service.limits, call.service.waits
        self._begun = self._complete = self._waits_for_caller = False
        self._sent = self._length = 0  # what was sent on, and what the answer says it will have
        self._progress: asyncio.Timeout | None = None
        self._of_receive: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run as an ASGI application. Raises GatewayProblem before the head, DeliveryCut after."""
        try:
            async with self._recorded.watched() as interruption:
                await self._in_time(receive, send, interruption)
        except (GatewayProblem, UpstreamBroken, UpstreamSlow, TimeoutError) as error:
            if interruption.why == "reader":
                raise ClientDisconnect from error
            if self._begun:
                use = self._recorded.use_id
                raise DeliveryCut(f"use {use} after {self._sent} bytes") from error
            problem = self._problem(error, interruption)
            raise problem from error
        finally:
            await self._call.close()
            await self._recorded.finished(self._sent, complete=self._complete)

    def _problem(self, error: Exception, interruption: Interruption) -> Exception:
        if interruption.why == "grant" and self._recorded.over is not None:
            return self._recorded.over
        if interruption.why == "body":
            return self._of_receive or too_large(self._limits.request_bytes)
        if isinstance(error, GatewayProblem):
            return error
        if isinstance(error, UpstreamBroken):
            return broken()
        if self._waits_for_caller:
            detail = "The rest of the call's body does not come."
            return GatewayProblem("body_too_slow", 408, detail, headers={"Connection": "close"})
        return timed_out("The platform's service gives no answer in time.")

    async def _in_time(self, receive: Receive, send: Send, interruption: Interruption) -> None:
        async with asyncio.timeout(self._limits.seconds):
            async with self._sending(receive, interruption) as sending:
                head = await self._read_head()
                headers = self._checked(head.status_code, list(head.headers))
                await self._recorded.reserve(self._length)
                self._begun = True
                start = {"type": "http.response.start", "status": head.status_code}
                said_by = (b"exchange-use", self._recorded.use_id.encode("ascii"))
                await send({**start, "headers": [*headers, said_by]})
                await self._send_body(send)
                sending.cancel()  # nobody is to interrupt the last piece
            if interruption.why is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                self._complete = True

    @asynccontextmanager
    async def _sending(
        self, receive: Receive, interruption: Interruption
    ) -> AsyncIterator[asyncio.Task[None]]:
        """Send the request, its body by a task beside what runs inside."""
        asked = self._asked
        has_body = asked.length not in (None, 0)
        await self._call.send_head(
            asked.method, asked.path, asked.query, self._out, has_body=has_body
        )
        task = asyncio.create_task(self._send_up(receive, interruption, has_body=has_body))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _send_up(
        self, receive: Receive, interruption: Interruption, *, has_body: bool
    ) -> None:
        """Send the body on as it comes, then wait for the caller's going away; ends by neither."""
        read, more, wire = 0, True, self._call.wire
        try:
            while more and not (has_body and read == self._asked.length):
                self._waits_for_caller = has_body
                message = await receive()
                self._waits_for_caller = False
                if message["type"] == "http.disconnect":
                    interruption.interrupt("reader")
                    return
                piece, more = message.get("body", b""), bool(message.get("more_body"))
                read += len(piece)
                if read > self._limits.request_bytes:
                    interruption.interrupt("body")
                    return
                if piece and has_body:
                    await wire.send_piece(piece)
                if has_body and (not more or read == self._asked.length):
                    await wire.send_end()
                self._moved()
            while (await receive())["type"] != "http.disconnect":
                pass
            interruption.interrupt("reader")
        except (UpstreamBroken, UpstreamSlow):
            return  # what was not taken to its end may have been answered: reading the answer tells
        except Exception as error:  # of the layers around: a body beyond their limit, for one
            self._of_receive = error
            interruption.interrupt("body")

    def _moved(self) -> None:
        """Begin the wait for the answer anew: a piece of the body has gone up."""
        if self._progress is not None:
            when = asyncio.get_running_loop().time() + self._waits.first_byte
            self._progress.reschedule(when)

    async def _read_head(self) -> Any:
        try:
            async with asyncio.timeout(self._waits.first_byte) as self._progress:
                return await self._call.wire.read_head()
        finally:
            self._progress = None

    def _checked(self, status: int, headers: list[Header]) -> list[Header]:
        """Return the headers of an answer that is passed on; raises GatewayProblem."""
        if status in (401, 407):  # which would tell the caller that its own token is bad
            detail = "The platform's service did not take the platform's credential."
            raise upstream_problem("upstream_refused_credential", detail)
        if 300 <= status < 400 and status != 304:
            # A Location would name another address, and without it a 3xx says nothing.
            detail = "The platform's service answered with a redirect, and none is followed."
            raise upstream_problem("upstream_redirects", detail)
        has_length = status not in _NO_BODY
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        if has_length and self._asked.method != "HEAD":
            self._length = int(length)
        if self._length > self._limits.response_bytes:
            detail = f"The answer has more than the {self._limits.response_bytes} bytes allowed."
            raise upstream_problem("upstream_too_large", detail)
        return answered(headers, has_length=has_length)

    async def _send_body(self, send: Send) -> None:
        pieces = self._call.wire.read_body()
        try:
            async for piece in pieces:
                if self._sent + len(piece) > self._limits.response_bytes:
                    raise DeliveryCut("the answer is larger than the offering allows")
                await self._recorded.spend(len(piece))
                await self._send_piece(send, piece)
                self._sent += len(piece)
        finally:
            await pieces.aclose()
        # An empty piece waits until the server has let go of the last one, or lost the reader.
        await self._send_piece(send, b"")

    async def _send_piece(self, send: Send, piece: bytes) -> None:
        async with asyncio.timeout(self._waits.reader):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
