"""Exchange and AsyncExchange: the same verbs, taken by a driver that blocks or one that awaits."""

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from exchange.client.documents import (
    Document,
    Grant,
    Offering,
    Request,
    RequestStep,
    UsageDay,
)
from exchange.client.flow import Flow
from exchange.client.profile import Profile, read_profile
from exchange.client.session import AsyncSession, Session
from exchange.client.verbs import Verbs

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound=Document)


def _blocking(
    verb: Callable[Concatenate[Verbs, P], Flow[T]],
) -> Callable[Concatenate["Exchange", P], T]:
    @wraps(verb)
    def taken(self: "Exchange", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.session.run(verb(self.verbs, *args, **kwargs))

    return taken


def _awaited(
    verb: Callable[Concatenate[Verbs, P], Flow[T]],
) -> Callable[Concatenate["AsyncExchange", P], Coroutine[Any, Any, T]]:
    @wraps(verb)
    async def taken(self: "AsyncExchange", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.session.run(verb(self.verbs, *args, **kwargs))

    return taken


def _profile(
    profile: Profile | Path | str | None,
    url: str,
    client_id: str,
    key: Mapping[str, Any] | None,
    organisation_id: str,
    log_key: str,
) -> Profile:
    if isinstance(profile, Profile):
        return profile
    if key is not None:
        return Profile(url, client_id, organisation_id, dict(key), log_key)
    return read_profile(Path(profile or os.environ.get("EXCHANGE_PROFILE") or "profile.json"))


class Exchange:
    """One client of one exchange. Use it as a context manager, from one thread."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.session = Session(profile, lang)
        self.verbs = Verbs(profile)

    @classmethod
    def open(
        cls,
        profile: Profile | Path | str | None = None,
        *,
        url: str = "",
        client_id: str = "",
        key: Mapping[str, Any] | None = None,
        organisation_id: str = "",
        log_key: str = "",
        lang: str = "en",
    ) -> Self:
        """Open by a profile (default: EXCHANGE_PROFILE, or profile.json), or by URL and key.

        `key` is the private JWK; `lang` is the language of reasons and remedies, en or zh.
        """
        return cls(_profile(profile, url, client_id, key, organisation_id, log_key), lang)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.session.close()

    def search(self, q: str | None = None, **facets: Any) -> Iterator[Offering]:
        """Yield offerings that hold the words, page after page.

        Facets: kind, industry, classification, purpose, jurisdiction, platform; others are refused.
        `sandbox=True` finds only what anyone registered may `try_out`.
        """
        return self._pages(Offering, "/v1/offerings", {"q": q, **facets})

    def requests(self, **filters: Any) -> Iterator[Request]:
        """Yield requests that you made or that concern your offerings, newest first.

        Filters: status, waiting_for (provider or consumer), offering_id.
        """
        return self._pages(Request, "/v1/access-requests", filters)

    def inbox(self) -> Iterator[Request]:
        """Yield the requests that wait for an answer by a platform."""
        return self.requests(status="pending_approval", waiting_for="provider")

    def steps(self, request: Request | str) -> Iterator[RequestStep]:
        """Yield what was done in a request's life, and by whom."""
        name = request if isinstance(request, str) else request.id
        return self._pages(RequestStep, f"/v1/access-requests/{name}/steps", {})

    def grants(self, **filters: Any) -> Iterator[Grant]:
        """Yield grants that you hold or gave, newest first. Filter: status."""
        return self._pages(Grant, "/v1/grants", filters)

    def usage_by_day(self, by: str = "all", **filters: Any) -> Iterator[UsageDay]:
        """Yield sums of use by day, the newest first, of thirty days unless said otherwise.

        `by` is all, offering, grant or consumer. Filters: since, until (YYYY-MM-DD, of UTC+8),
        offering_id, grant_id.
        """
        return self._pages(UsageDay, "/v1/usage", {"by": by, **filters})

    def _pages(self, kind: type[D], path: str, params: dict[str, Any]) -> Iterator[D]:
        while True:
            for item in self.session.run(self.verbs.page(path, params)):
                yield kind.of(item)
            if params["cursor"] is None:
                return

    offering = _blocking(Verbs.offering)
    explain = _blocking(Verbs.explain)
    request = _blocking(Verbs.request)
    try_out = _blocking(Verbs.try_out)
    request_by_id = _blocking(Verbs.request_by_id)
    wait = _blocking(Verbs.wait)
    answer = _blocking(Verbs.answer)
    comment = _blocking(Verbs.comment)
    withdraw = _blocking(Verbs.withdraw)
    appeal = _blocking(Verbs.appeal)
    renew = _blocking(Verbs.renew)
    approve = _blocking(Verbs.approve)
    reject = _blocking(Verbs.reject)
    ask_back = _blocking(Verbs.ask_back)
    upload = _blocking(Verbs.upload)
    publish = _blocking(Verbs.publish)
    withdraw_offering = _blocking(Verbs.withdraw_offering)
    grant = _blocking(Verbs.grant)
    usage = _blocking(Verbs.usage)
    call = _blocking(Verbs.call)
    files = _blocking(Verbs.files)
    download = _blocking(Verbs.download)
    read = _blocking(Verbs.read)
    receipts = _blocking(Verbs.receipts)


class AsyncExchange:
    """The same on an event loop: verbs are awaited, lists are `async for`."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.session = AsyncSession(profile, lang)
        self.verbs = Verbs(profile)

    @classmethod
    def open(
        cls,
        profile: Profile | Path | str | None = None,
        *,
        url: str = "",
        client_id: str = "",
        key: Mapping[str, Any] | None = None,
        organisation_id: str = "",
        log_key: str = "",
        lang: str = "en",
    ) -> Self:
        """Open by a profile (default: EXCHANGE_PROFILE, or profile.json), or by URL and key.

        `key` is the private JWK; `lang` is the language of reasons and remedies, en or zh.
        """
        return cls(_profile(profile, url, client_id, key, organisation_id, log_key), lang)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self.session.close()

    def search(self, q: str | None = None, **facets: Any) -> AsyncIterator[Offering]:
        """Yield offerings that hold the words, page after page.

        Facets: kind, industry, classification, purpose, jurisdiction, platform; others are refused.
        `sandbox=True` finds only what anyone registered may `try_out`.
        """
        return self._pages(Offering, "/v1/offerings", {"q": q, **facets})

    def requests(self, **filters: Any) -> AsyncIterator[Request]:
        """Yield requests that you made or that concern your offerings, newest first.

        Filters: status, waiting_for (provider or consumer), offering_id.
        """
        return self._pages(Request, "/v1/access-requests", filters)

    def inbox(self) -> AsyncIterator[Request]:
        """Yield the requests that wait for an answer by a platform."""
        return self.requests(status="pending_approval", waiting_for="provider")

    def steps(self, request: Request | str) -> AsyncIterator[RequestStep]:
        """Yield what was done in a request's life, and by whom."""
        name = request if isinstance(request, str) else request.id
        return self._pages(RequestStep, f"/v1/access-requests/{name}/steps", {})

    def grants(self, **filters: Any) -> AsyncIterator[Grant]:
        """Yield grants that you hold or gave, newest first. Filter: status."""
        return self._pages(Grant, "/v1/grants", filters)

    def usage_by_day(self, by: str = "all", **filters: Any) -> AsyncIterator[UsageDay]:
        """Yield sums of use by day, the newest first, of thirty days unless said otherwise.

        `by` is all, offering, grant or consumer. Filters: since, until (YYYY-MM-DD, of UTC+8),
        offering_id, grant_id.
        """
        return self._pages(UsageDay, "/v1/usage", {"by": by, **filters})

    async def _pages(self, kind: type[D], path: str, params: dict[str, Any]) -> AsyncIterator[D]:
        while True:
            for item in await self.session.run(self.verbs.page(path, params)):
                yield kind.of(item)
            if params["cursor"] is None:
                return

    offering = _awaited(Verbs.offering)
    explain = _awaited(Verbs.explain)
    request = _awaited(Verbs.request)
    try_out = _awaited(Verbs.try_out)
    request_by_id = _awaited(Verbs.request_by_id)
    wait = _awaited(Verbs.wait)
    answer = _awaited(Verbs.answer)
    comment = _awaited(Verbs.comment)
    withdraw = _awaited(Verbs.withdraw)
    appeal = _awaited(Verbs.appeal)
    renew = _awaited(Verbs.renew)
    approve = _awaited(Verbs.approve)
    reject = _awaited(Verbs.reject)
    ask_back = _awaited(Verbs.ask_back)
    upload = _awaited(Verbs.upload)
    publish = _awaited(Verbs.publish)
    withdraw_offering = _awaited(Verbs.withdraw_offering)
    grant = _awaited(Verbs.grant)
    usage = _awaited(Verbs.usage)
    call = _awaited(Verbs.call)
    files = _awaited(Verbs.files)
    download = _awaited(Verbs.download)
    read = _awaited(Verbs.read)
    receipts = _awaited(Verbs.receipts)
