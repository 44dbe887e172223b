"""The issuer's public keys over HTTP, for a gateway that is not mounted in the exchange.

    1. fetched at the start, and again before a copy is older than the issuer's `max-age` allows;
    2. fetched again when something is signed with a key that is none of these, at most once in 5 s;
    3. a fetch that fails changes nothing: the set at hand stays in use.

Anybody can name a key that is none of these, so what that costs the issuer is bounded by 2. A key
that was retired is believed here until the next fetch.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import httpx

from connectors.gateway.clock import boot_time
from connectors.gateway.problems import NotNow
from exchange.formats.errors import FormatError
from exchange.formats.jwk import parse_public_jwks
from exchange.formats.jws import TokenRefused, read_json
from exchange.formats.tokens import KeySet

KEPT_SECONDS: Final = 240.0
"""How old a set may grow before it is fetched again: less than the 300 s that the issuer says."""

SOONEST_SECONDS: Final = 5.0
"""From one try to the next, whoever asks and whatever became of it."""

FETCH_SECONDS: Final = 3.0
MOST_BYTES: Final = 32 << 10
"""Longest answer; eight keys of the only kind that is taken are 2 KiB."""

Keys = Callable[[], KeySet]
Learn = Callable[[], Awaitable[bool]]
T = TypeVar("T")
_log = logging.getLogger(__name__)


class KeysNotRead(Exception):
    """The issuer did not answer as it should; the message holds nothing of what it said."""


async def with_keys(read: Callable[[KeySet], T], keys: Keys, learn: Learn | None) -> T:
    """Verify something; where its key is unknown learn the issuer's keys, and try once more.

    Raises what `read` and `keys` raise.
    """
    try:
        return read(keys())
    except TokenRefused as refused:
        if refused.code != "token_key_unknown" or learn is None or not await learn():
            raise
    return read(keys())


class IssuerKeys:
    """The keys of one issuer; for one event loop.

    `uri` is where its JWK Set is, an operator's setting, never a token's word; `http` keeps its
    connections.
    """

    def __init__(
        self, http: httpx.AsyncClient, uri: str, clock: Callable[[], float] = boot_time
    ) -> None:
        self._http, self._uri, self._clock = http, uri, clock
        self._keys: KeySet | None = None
        self._jwks: object = None
        self._read_at = self._tried_at = -math.inf
        self._one_at_a_time = asyncio.Lock()

    def known(self) -> KeySet:
        """Return the keys; raises NotNow before they were read for the first time."""
        if self._keys is None:
            raise NotNow("issuer_keys_unknown", "The issuer's keys cannot be told right now.")
        return self._keys

    async def learn(self) -> bool:
        """Fetch the set again, unless that was tried just now; return whether it changed."""
        before = self._keys
        async with self._one_at_a_time:
            if self._keys is not before:  # somebody else's fetch, which we waited for
                return True
            if self._clock() - self._tried_at < SOONEST_SECONDS:
                return False
            self._tried_at = self._clock()
            try:
                async with asyncio.timeout(FETCH_SECONDS):
                    self._take(await self._fetch())
            except (httpx.HTTPError, KeysNotRead, FormatError, TimeoutError) as error:
                why = str(error) if isinstance(error, KeysNotRead) else type(error).__name__
                _log.warning("the issuer's keys are not read: %s", why)
        return self._keys is not before

    @asynccontextmanager
    async def running(self) -> AsyncIterator["IssuerKeys"]:
        """Try to read the keys, and keep them young while inside."""
        await self.learn()
        task = asyncio.create_task(self._keep_young(), name="issuer keys")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_young(self) -> None:
        while True:
            await asyncio.sleep(SOONEST_SECONDS)
            if self._clock() - self._read_at > KEPT_SECONDS:
                await self.learn()

    def _take(self, body: bytes) -> None:
        jwks = parse_public_jwks(read_json(body))
        if jwks != self._jwks:  # else the set at hand stays, with the signatures that it remembers
            self._keys, self._jwks = KeySet(jwks), jwks
        self._read_at = self._tried_at

    async def _fetch(self) -> bytes:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with self._http.stream(
            "GET", self._uri, headers=headers, follow_redirects=False
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                raise KeysNotRead(f"it answers {answer.status_code}")
            if "content-encoding" in answer.headers:
                raise KeysNotRead("it answers in another format")
            pieces, length = [], 0
            async for piece in answer.aiter_raw():
                pieces.append(piece)
                length += len(piece)
                if length > MOST_BYTES:
                    raise KeysNotRead("the set is too long")
        return b"".join(pieces)
