"""An exchange of a script: a status list and streams that a test writes event by event."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from exchange.formats.jwk import generate_client_key, load_private_key, public_jwks
from exchange.formats.jws import sign_jws
from exchange.formats.status_list import StatusList
from exchange.formats.status_token import LIST_TYPE, StatusEvent, list_claims
from exchange.formats.tokens import KeySet

ISSUER = "https://exchange.example"
URI = f"{ISSUER}/v1/status-lists/org_1"
SIZE = 100


class Signer:
    def __init__(self) -> None:
        jwk = generate_client_key()
        self._key, _, self._kid = load_private_key(jwk)
        self.jwks = public_jwks(jwk)
        self.keys = KeySet(self.jwks)

    def sign(self, typ: str, claims: dict[str, Any]) -> str:
        return sign_jws(self._key, {"alg": "ES256", "kid": self._kid, "typ": typ}, claims)

    def event(self, event: StatusEvent) -> str:
        return self.sign(event.kind, event.claims(ISSUER))


@dataclass
class Stream:
    """One stream that was asked for: what it was asked with, and what the test sends on it."""

    nonce: str
    after: int
    sent: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def raw(self, kind: str, token: str, index: int = 0) -> None:
        self.sent.put_nowait(f"event: {kind}\nid: {index}\ndata: {token}\n\n".encode())

    def end(self) -> None:
        self.sent.put_nowait(None)


class Scripted(httpx.AsyncBaseTransport):
    """Answers as the exchange does; a test says what the list holds and sends the events."""

    def __init__(self, signer: Signer) -> None:
        self.signer = signer
        self.statuses, self.index = StatusList(SIZE), 10
        self.streams: list[Stream] = []
        self.fetched = 0
        self.list_token: str | None = None
        self.headers = {"content-type": "text/event-stream"}
        self.away = False

    def heartbeat(self, stream: Stream, as_of: float, index: int | None = None, **more: Any) -> str:
        return self.delta(stream, as_of, index, (), **more)

    def delta(
        self,
        stream: Stream,
        as_of: float,
        index: int | None = None,
        changes: Any = (),
        previous: int | None = None,
        send: bool = True,
        nonce: str | None = None,
        uri: str = URI,
    ) -> str:
        """Sign an event, and send it unless told otherwise; the row goes on from `self.index`."""
        before = self.index if previous is None else previous
        after = before if index is None else index
        event = StatusEvent(
            uri, nonce or stream.nonce, before, after, round(as_of * 1000), tuple(changes)
        )
        token = self.signer.event(event)
        if send:
            stream.raw("delta" if changes else "heartbeat", token, after)
        if previous is None:
            self.index = after
        return token

    async def stream(self, number: int) -> Stream:
        """The n-th stream that was asked for; waits for it."""
        await until(lambda: len(self.streams) > number)
        return self.streams[number]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        if not request.url.path.endswith("/events"):
            self.fetched += 1
            claims = list_claims(
                ISSUER, URI, self.statuses, self.index, now=1, ttl=10, lifetime=3600
            )
            token = self.list_token or self.signer.sign(LIST_TYPE, claims)
            headers = {"content-type": "application/statuslist+jwt"}
            return httpx.Response(200, headers=headers, stream=_Whole(token.encode()))
        stream = Stream(request.url.params["nonce"], int(request.headers["last-event-id"]))
        self.streams.append(stream)
        return httpx.Response(200, headers=self.headers, stream=_Pieces(stream))


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._stream.sent.get()) is not None:
            yield piece

    async def aclose(self) -> None:
        self._stream.closed.set()


class _Whole(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a state, not for a time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came about"
        await asyncio.sleep(0.002)
