"""One connection's HTTP parser, with an end to every head; uvicorn's own reads heads for ever."""

import asyncio
import secrets
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from exchange.errors import BadInput, ExchangeError
from exchange.guard import SECURITY_HEADERS, head_too_large, problem_answer


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, refusing heads that are too long or too slow, and saying so in JSON.

    Bytes count until the parser gets on: to the end of a head, a piece of a body, the end of a
    message. So one number bounds heads and trailers, of one header or of many. It is uvicorn's
    `h11_max_incomplete_event_size`, which is for its other parser; a head may take as long as an
    idle connection is kept, `timeout_keep_alive`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = self.config.h11_max_incomplete_event_size or 32 * 1024
        self._pending = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection; its first head is due."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; whoever sends and never gets on is cut off."""
        self._pending += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._pending > self._limit:
            self._refuse(head_too_large())
        elif self.timeout_keep_alive_task is None and not self._is_answering():
            self._await_head()

    def shutdown(self) -> None:
        """End with the server: a stream that has no end of its own looks for `is_closing`."""
        if self._is_answering():
            self.cycle.scope["state"]["is_closing"] = True
        super().shutdown()

    def on_headers_complete(self) -> None:
        """Begin a request."""
        self._stop_timer()
        self._pending = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._pending = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._pending = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP (uvicorn's hook)."""
        self._refuse(BadInput("not_http", "This is no HTTP/1.1 request that can be read."))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self._too_slow)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        if not self._pending:  # nothing was asked, so nobody waits for an answer
            self.transport.close()
            return
        seconds = self.timeout_keep_alive
        self._refuse(BadInput("head_too_slow", f"No request within {seconds} seconds.", status=408))

    def _refuse(self, error: ExchangeError) -> None:
        """Answer, unless another answer has begun, and close."""
        if self.transport.is_closing():
            return
        if not (self._is_answering() and self.cycle.response_started):
            request_id = secrets.token_hex(8)
            headers, body = problem_answer(error, request_id)
            headers += [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
            lines = [name + b": " + value + b"\r\n" for name, value in headers]
            head = [STATUS_LINE[error.status_code], *lines, b"connection: close\r\n\r\n"]
            self.transport.write(b"".join([*head, body]))
        self.transport.close()
