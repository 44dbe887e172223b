"""One delivery over HTTP: signed (RFC 9421), to an allowed address only, bounded in every way.

No redirects are followed, no proxies asked, no cookies kept: httpcore does none of that by itself.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpcore
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from exchange.webhooks.allow import AllowList

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
COVERED = ("@method", "@target-uri", "content-type", "content-digest", "exchange-delivery")
LABEL = "exchange"
CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
MOST_AT_ONCE = 64
READ_BYTES = 16 * 1024  # of an answer, whose status alone counts
MOST_ADDRESSES = 3


class NotAllowed(httpcore.ConnectError):
    """The name resolves to no address that the operator allowed."""


@dataclass
class _Message:
    """A request as the signature library wants to see it."""

    method: str
    url: str
    headers: dict[str, str]


class _Key(HTTPSignatureKeyResolver):
    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> Any:
        """Return the one key there is."""
        return self._key

    def resolve_public_key(self, key_id: str) -> Any:
        """Return its public part."""
        return self._key.public_key()


class MessageKey:
    """The key that signs deliveries, published in the exchange's JWK Set under its id."""

    def __init__(self, key: EllipticCurvePrivateKey, kid: str) -> None:
        self._kid = kid
        self._signer = HTTPMessageSigner(
            signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Key(key)
        )

    def headers(self, url: str, body: bytes, delivery_id: str, now_ms: int) -> dict[str, str]:
        """Return the headers of a delivery, its digest (RFC 9530) and signature among them."""
        message = _Message(
            "POST", url, {"Content-Type": "application/json", "Exchange-Delivery": delivery_id}
        )
        self._signer.sign(
            message,
            key_id=self._kid,
            label=LABEL,
            created=datetime.fromtimestamp(now_ms // 1000, UTC),
            covered_component_ids=COVERED,
            body=body,
        )
        return message.headers


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects where the list allows: the address that was checked is the one connected to."""

    def __init__(self, allow: AllowList, resolve: Resolve) -> None:
        self._allow, self._resolve = allow, resolve
        self._plain = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check, connect; raises NotAllowed."""
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:  # the latter for what no name can be
            raise httpcore.ConnectError(f"{host} cannot be resolved") from error
        allowed = [each for each in found if self._allow.permits(host, port, each)]
        if not allowed:
            raise NotAllowed(f"{host} resolves to no allowed address")
        *others, last = allowed[:MOST_ADDRESSES]
        for address in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._plain.connect_tcp(address, port, timeout)
        return await self._plain.connect_tcp(last, port, timeout)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's signature
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no address of a webhook is a path."""
        raise NotAllowed("not a network address")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class Sender:
    """Sends deliveries; closed with `aclose`."""

    def __init__(
        self,
        key: MessageKey,
        allow: AllowList,
        *,
        resolve: Resolve | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        # Names that hang must not take the threads that everybody else waits for.
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="webhook-names")
        self._key, self.total_seconds = key, total_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_AT_ONCE,
            max_keepalive_connections=MOST_AT_ONCE,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(allow, resolve or self._look_up),
        )

    async def send(self, url: str, body: bytes, delivery_id: str, now_ms: int) -> str | None:
        """Send one delivery; return None for an answer of 2xx, else what went wrong, as a code."""
        headers = self._key.headers(url, body, delivery_id, now_ms)
        sent = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
        sent.append((b"User-Agent", b"exchange-webhooks"))
        seconds = dict.fromkeys(("connect", "read", "write", "pool"), CONNECT_SECONDS)
        seconds["read"] = self.total_seconds
        try:
            async with (
                asyncio.timeout(self.total_seconds),
                self._pool.stream(
                    "POST", url, headers=sent, content=body, extensions={"timeout": seconds}
                ) as answer,
            ):
                read = 0
                async for piece in answer.aiter_stream():
                    read += len(piece)
                    if read > READ_BYTES:
                        break
                return None if 200 <= answer.status < 300 else f"status_{answer.status}"
        except NotAllowed:
            return "address_not_allowed"
        except (TimeoutError, httpcore.TimeoutException):
            return "timed_out"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
            return "not_reached"
        except (OSError, ssl.SSLError):
            return "not_reached"

    async def _look_up(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(each[4][0]) for each in found))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)
