"""One delivery over HTTP: signed (RFC 9421), to an allowed address only, bounded in every way.

No redirects are followed, no proxies asked, no cookies kept: httpcore does none of that by itself.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpcore
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from exchange.outward.allow import AllowList
from exchange.outward.connect import GuardedBackend, Names, NotAllowed, Resolve

COVERED = ("@method", "@target-uri", "content-type", "content-digest", "exchange-delivery")
LABEL = "exchange"
CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
MOST_AT_ONCE = 64
READ_BYTES = 16 * 1024  # of an answer, whose status alone counts


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


Signing = Callable[[], tuple[EllipticCurvePrivateKey, str]]


class MessageKey:
    """The key that signs deliveries, published in the exchange's JWK Set under its id.

    `signing` gives the one that does just now, and its id.
    """

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._kid: str | None = None
        self._signer: HTTPMessageSigner | None = None

    def headers(self, url: str, body: bytes, delivery_id: str, now_ms: int) -> dict[str, str]:
        """Return the headers of a delivery, its digest (RFC 9530) and signature among them."""
        message = _Message(
            "POST", url, {"Content-Type": "application/json", "Exchange-Delivery": delivery_id}
        )
        key, kid = self._signing()
        if self._signer is None or self._kid != kid:
            self._kid = kid
            self._signer = HTTPMessageSigner(
                signature_algorithm=ECDSA_P256_SHA256, key_resolver=_Key(key)
            )
        self._signer.sign(
            message,
            key_id=kid,
            label=LABEL,
            created=datetime.fromtimestamp(now_ms // 1000, UTC),
            covered_component_ids=COVERED,
            body=body,
        )
        return message.headers


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
        self._names = Names("webhook-names")
        self._key, self.total_seconds = key, total_seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MOST_AT_ONCE,
            max_keepalive_connections=MOST_AT_ONCE,
            keepalive_expiry=5.0,
            network_backend=GuardedBackend(allow, resolve or self._names.look_up),
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

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
        self._names.close()
