"""Keeps a platform's status list up to date over HTTP: the list, then its stream of changes.

    1. fetch the list, unless the one at hand can go on;
    2. ask for the stream from the list's size of the log on, under a nonce of our own;
    3. take each event as its signature, list, nonce and place in the row allow;
    4. a gap, or a word of the exchange, leads to 1; an end or a failure to 2, after a pause.

What was known goes on being used, as long as it is young enough, until what replaces it is whole.
Nothing here looks at a wall clock.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Final, Protocol

import httpx

from connectors.gateway.clock import boot_time
from connectors.gateway.issuer_keys import Keys, Learn, with_keys
from connectors.gateway.server_sent import EventReader, ServerSent
from connectors.gateway.status import STALE_SECONDS, StatusElsewhere, StatusStale
from connectors.gateway.status_state import Gap, StatusState, Watches
from exchange.formats.errors import FormatError
from exchange.formats.status_list import Word
from exchange.formats.status_token import (
    DELTA_TYPE,
    EVENT_BYTES,
    HEARTBEAT_TYPE,
    LIST_BYTES,
    ListToken,
    StatusEvent,
    read_list_token,
    read_status_event,
)
from exchange.formats.tokens import StatusPlace

SILENCE_SECONDS: Final = 5.0
"""How long a stream may go without making anything younger; heartbeats come every 2 s."""

LAG_SECONDS: Final = STALE_SECONDS / 2
"""How old what a stream says may be as it arrives; then a new one is asked for."""

FETCH_SECONDS: Final = 10.0
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
STEADY_SECONDS: Final = 10.0
"""How long a stream must have gone well for the pause after it to be the shortest again."""

KINDS: Final = {"delta": DELTA_TYPE, "heartbeat": HEARTBEAT_TYPE}
_log = logging.getLogger(__name__)


class Credentials(Protocol):
    """What lets this gateway in at the exchange."""

    async def show(self, url: str) -> Mapping[str, str]:
        """Return the headers that let in one GET of a URL: a token, its proof where it is bound."""

    def learn(self, answer: httpx.Response) -> None:
        """See an answer's head: it may hold a nonce for the next proof, or refuse the token."""


class StreamFailed(Exception):
    """The exchange did not answer as it should; the message holds nothing of what it said."""


class StatusFollower:
    """One platform's list: `connectors.gateway.status.StatusSource` for one event loop.

    `uri` names the list and is where it is fetched, so it is the operator's setting, never a
    token's word; `credentials` are those of the scope `status`; `http` keeps its connections.
    `keys` are the issuer's as they are known; `learn` reads them anew (issuer_keys.py): without it
    a rotation of theirs closes this gateway.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        uri: str,
        *,
        issuer: str,
        keys: Keys,
        learn: Learn | None = None,
        credentials: Credentials,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._http, self.uri, self._issuer = http, uri, issuer
        self._keys, self._learn = keys, learn
        self._credentials, self._clock = credentials, clock
        self._state: StatusState | None = None
        self._is_whole = False  # the state at hand can go on: its next stream begins where it ended
        self._watches = Watches()
        self._news = asyncio.Event()

    def check(self, place: StatusPlace) -> Word:
        """Return the status at a place; raises StatusStale or StatusElsewhere."""
        if place.uri != self.uri:
            raise StatusElsewhere
        if self._state is None:
            raise StatusStale
        return self._state.status(place.index, self._clock())

    def watch(self, place: StatusPlace) -> AbstractContextManager[asyncio.Event]:
        """Give an event that is set when the status at a place may have changed: check again.

        That it became too old is told to nobody: whoever waits looks now and then as well.
        """
        return self._watches.watch(place.index)

    async def until_known(self) -> None:
        """Return once something is known; how old it is, `check` minds."""
        while self._state is None:
            await self._news.wait()
            self._news.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StatusFollower"]:
        """Follow while inside."""
        task = asyncio.create_task(self.run(), name="status list")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong is tried again, after longer and longer pauses."""
        pause, told = FIRST_PAUSE, False
        while True:
            began = self._clock()
            try:
                await self._follow()
            except Gap:
                self._is_whole = False
                _log.info("the status list is fetched again")
            except Exception as error:  # whatever it was: what is known grows old and is refused
                self._is_whole = self._is_whole and not isinstance(error, FormatError)
                if not told:
                    _log.warning("the status list is not followed: %s", _what(error))
                told = True
            if self._clock() - began > STEADY_SECONDS:
                pause, told = FIRST_PAUSE, False
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _follow(self) -> None:
        """Read one stream to its end."""
        async with asyncio.timeout(FETCH_SECONDS):
            state = self._state if self._is_whole else None
            if state is None:
                state = StatusState(await self._read_list(await self._fetch()))
            nonce, url = secrets.token_urlsafe(16), f"{self.uri}/events"
            shown = await self._credentials.show(url)
        asked_at = self._clock()
        headers = {
            **shown,
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Last-Event-ID": str(state.log_index),
        }
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SILENCE_SECONDS) as limit:
            query = {"nonce": nonce}
            async with self._http.stream("GET", url, params=query, headers=headers) as answer:
                self._check(answer, "text/event-stream")
                reader = EventReader(EVENT_BYTES + 1000)
                async for piece in answer.aiter_raw():
                    for sent in reader.feed(piece):
                        if await self._take(sent, state, nonce, asked_at):
                            limit.reschedule(loop.time() + SILENCE_SECONDS)

    async def _read_list(self, token: str) -> ListToken:
        return await with_keys(
            lambda keys: read_list_token(token, keys, issuer=self._issuer, uri=self.uri),
            self._keys,
            self._learn,
        )

    async def _read_event(self, sent: ServerSent, kind: str, nonce: str) -> StatusEvent:
        return await with_keys(
            lambda keys: read_status_event(
                sent.data, keys, kind=kind, issuer=self._issuer, uri=self.uri, nonce=nonce
            ),
            self._keys,
            self._learn,
        )

    async def _take(
        self, sent: ServerSent, state: StatusState, nonce: str, asked_at: float
    ) -> bool:
        """Take one event; return whether it made what is known younger."""
        if sent.kind == "reload":  # anyone between can say that too, and only costs us a fetch
            raise Gap("the exchange says so")
        kind = KINDS.get(sent.kind)
        if kind is None:
            raise FormatError("an event of no kind of ours")
        event = await self._read_event(sent, kind, nonce)
        before, now = state.known_at, self._clock()
        changed = state.accept(event, asked_at, now)
        if changed is None:
            return False
        if state is not self._state:
            self._state, changed = state, None
        self._is_whole = True
        self._watches.tell(changed)
        self._news.set()
        if state.age(now) > LAG_SECONDS:  # held back on the way, or a clock runs differently
            raise StreamFailed("its events are late")
        return state.known_at > before

    async def _fetch(self) -> str:
        headers = {
            **await self._credentials.show(self.uri),
            "Accept": "application/statuslist+jwt",
            "Accept-Encoding": "identity",
        }
        async with self._http.stream("GET", self.uri, headers=headers) as answer:
            self._check(answer, "application/statuslist+jwt")
            pieces, length = [], 0
            async for piece in answer.aiter_raw():
                pieces.append(piece)
                length += len(piece)
                if length > LIST_BYTES:
                    raise FormatError("the list is too long")
        try:
            return b"".join(pieces).decode("ascii")
        except UnicodeDecodeError:
            raise FormatError("the list is not of ASCII") from None

    def _check(self, answer: httpx.Response, media_type: str) -> None:
        self._credentials.learn(answer)
        told = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status_code != httpx.codes.OK:
            raise StreamFailed(f"it answers {answer.status_code}")
        if told != media_type or "content-encoding" in answer.headers:
            raise StreamFailed("it answers in another format")


def _what(error: Exception) -> str:
    return str(error) if isinstance(error, StreamFailed) else type(error).__name__
