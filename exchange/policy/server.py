"""Policies in an OPA server, asked through opa-python-client.

The server runs the same bundle, and says so with each answer:
`opa run --server --addr 127.0.0.1:8181 --bundle policies/build/bundle.tar.gz`
"""

import asyncio
import json
from typing import Any, Final
from urllib.parse import urlsplit

from opa_client.opa_async import AsyncOpaClient

from exchange.policy.bundle import Bundle
from exchange.policy.contract import CheckedInput
from exchange.policy.model import PolicyError, PolicyUnavailable

TIMEOUT_SECONDS: Final = 0.5
"""For one whole answer, so that a stopped server is a clear refusal within a second."""


class ServerEvaluator:
    """One long-lived client. Belongs to the event loop of its first decision."""

    def __init__(
        self, bundle: Bundle, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise PolicyError(f"EXCHANGE_OPA_URL is not http(s)://HOST:PORT: {url!r}")
        secure = parts.scheme == "https"
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        # retries=0: the client would repeat a POST that OPA answered with 500.
        self._client = AsyncOpaClient(
            host=host,
            port=parts.port or (443 if secure else 80),
            ssl=secure,
            retries=0,
            timeout=timeout_seconds,
        )
        self._package, _, self._rule = bundle.entrypoint.rpartition("/")
        self._revision = bundle.revision
        self._opening = asyncio.Lock()
        self._open = False

    async def evaluate(self, checked: CheckedInput) -> object:
        """Ask once; raises `PolicyUnavailable` unless this bundle's decision comes back in time."""
        if not self._open:
            async with self._opening:
                if not self._open:
                    await self._client.__aenter__()
                    self._open = True
        try:
            answer = await self._client.query_rule(
                json.loads(checked.body), self._package, self._rule, {"provenance": True}
            )
        except Exception as error:  # aiohttp's and asyncio's own, which the client lets through
            raise PolicyUnavailable(f"the OPA server: {type(error).__name__}") from error
        if type(answer) is not dict or "result" not in answer:
            raise PolicyUnavailable("the OPA server has no such policy")
        if _revisions(answer) != {self._revision}:
            raise PolicyUnavailable(
                f"the OPA server decides by other policies than {self._revision}"
            )
        return answer["result"]

    async def aclose(self) -> None:
        """Close the client's connections."""
        if self._open:
            await self._client.close_connection()
            self._open = False


def _revisions(answer: dict[str, Any]) -> set[object]:
    """Return the revisions of the bundles that the server says it decided by (`provenance`)."""
    try:
        bundles = answer["provenance"]["bundles"]
        return {str(bundle["revision"]) for bundle in bundles.values()}
    except (KeyError, TypeError, AttributeError):
        return set()
