"""One connection to a service: HTTP/1.1 by h11, both ways at once, over a stream that is open.

httpcore's own connection reads an answer only when the request's body is sent to its end, and
keeps what a service sends beyond an answer as the beginning of the next; hence this.
"""

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import h11
import httpcore

from connectors.forward.headers import Header

READ_BYTES: Final = 256 * 1024
HEAD_BYTES: Final = 64 * 1024
"""Longest head of an answer, and longest line of a chunk."""

MOST_INTERIM: Final = 16
"""Most interim answers (1xx) to one call."""


class UpstreamBroken(Exception):
    """The service hung up, or does not speak HTTP: nothing more of this answer is to be had."""


class UpstreamSlow(Exception):
    """The service did not take or give a piece in time."""


class Wire:
    """One request after another on one connection; every method but `close` may raise the above."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, between: float) -> None:
        self._stream, self._between = stream, between
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self.is_used = False  # by an earlier request

    async def send_head(
        self, method: str, target: str, headers: list[Header], *, has_body: bool
    ) -> None:
        """Send a request's head, whole requests where there is no body."""
        data = self._own(h11.Request(method=method, target=target, headers=headers))
        await self._write(data if has_body else data + self._own(h11.EndOfMessage()))

    async def send_piece(self, piece: bytes) -> None:
        """Send a piece of the request's body."""
        await self._write(self._own(h11.Data(data=piece)))

    async def send_end(self) -> None:
        """End the request's body."""
        await self._write(self._own(h11.EndOfMessage()))

    async def read_head(self) -> h11.Response:
        """Return the answer's head; interim ones are passed over. Waits for as long as it takes."""
        for _ in range(MOST_INTERIM + 1):
            event = await self._next(None)
            if isinstance(event, h11.Response):
                names = {name for name, _ in event.headers}
                if sum(len(name) + len(value) + 4 for name, value in event.headers) > HEAD_BYTES:
                    raise UpstreamBroken("a head too long")  # which came whole in one piece
                if {b"content-length", b"transfer-encoding"} <= names:
                    raise UpstreamBroken("both lengths")  # RFC 9112 section 6.3: smuggling, maybe
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise UpstreamBroken("no answer")
        raise UpstreamBroken("too many interim answers")

    async def read_body(self) -> AsyncGenerator[bytes, None]:
        """Yield the answer's body as it comes; returns at its proper end. Trailers are left."""
        while not isinstance(event := await self._next(self._between), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise UpstreamBroken("no body")
            yield bytes(event.data)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come on an idle connection, not even its end."""
        return not self._stream.get_extra_info("is_readable")

    async def wait_idle(self, seconds: float) -> None:
        """Wait until anything comes, which on an idle connection is its end; so long at most."""
        with suppress(httpcore.NetworkError, httpcore.TimeoutException):
            await self._stream.read(1, timeout=seconds)

    def reuse(self) -> bool:
        """Make ready for the next request; False where that cannot be."""
        extra, is_closed = self._h11.trailing_data
        if extra or is_closed:
            return False  # whatever that is, it must not become the next caller's answer
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self.is_used = True
        return True

    async def close(self) -> None:
        """Close the connection; never raises."""
        with suppress(httpcore.NetworkError, OSError):
            await self._stream.aclose()

    def _own(self, event: h11.Event) -> bytes:
        try:
            return self._h11.send(event) or b""
        except h11.LocalProtocolError as error:
            raise UpstreamBroken("not to be sent") from error

    async def _write(self, data: bytes) -> None:
        try:
            await self._stream.write(data, timeout=self._between)
        except httpcore.TimeoutException as error:
            raise UpstreamSlow("does not read") from error
        except httpcore.NetworkError as error:
            raise UpstreamBroken("does not read any more") from error

    async def _next(self, seconds: float | None) -> object:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                self._h11.receive_data(await self._stream.read(READ_BYTES, timeout=seconds))
        except h11.RemoteProtocolError as error:
            raise UpstreamBroken("not HTTP") from error
        except httpcore.TimeoutException as error:
            raise UpstreamSlow("says nothing") from error
        except httpcore.NetworkError as error:
            raise UpstreamBroken("hung up") from error
        return event
