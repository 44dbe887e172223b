"""The two drivers of verbs: one that blocks and one that awaits. Nothing else speaks HTTP."""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from exchange.client.core import TOKEN_PATH, Core, as_json, checked
from exchange.client.errors import NotAnExchange, NotReachable, Refused
from exchange.client.flow import Flow, Pause, Send, Step, T, Work
from exchange.client.profile import Profile

__all__ = ["AsyncSession", "NotAnExchange", "Refusal", "Session", "open_http"]

SECONDS = 30
"""How long the exchange may take for one piece, unless a verb says otherwise."""

Refusal = Refused  # as the command's verbs call it

GRANTS = "/gateway/grants/"


class Session:
    """One client's conversation with one exchange: takes a verb's steps one after the other."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.profile = profile
        self.core = Core(profile)
        self.http = open_http(profile.url, headers={"Accept-Language": lang})
        self.sleep = time.sleep

    def run(self, flow: Flow[T]) -> T:
        """Take a verb's steps to its end, and return what it returns."""
        with closing(flow):
            done: Any = None
            failed: Exception | None = None
            while True:
                try:
                    step = flow.send(done) if failed is None else flow.throw(failed)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                done, failed = None, None
                try:
                    done = self._take(step)
                except httpx.HTTPError as error:
                    failed = _because(error)
                except Exception as error:
                    failed = error

    def _take(self, step: Step) -> Any:
        if isinstance(step, Pause):
            return self.sleep(step.seconds)
        if isinstance(step, Work):
            return step.does()
        options = _options(step)
        if step.body is not None:
            options["content"] = step.body.pieces()
        if step.sink is None:
            return self.http.request(step.method, step.url, **options)
        with self.http.stream(step.method, step.url, **options) as response:
            if not response.is_success:
                response.read()
                return response
            step.sink.begin(response)
            for piece in response.iter_raw():
                step.sink.write(piece)
            return response

    def token(self, scope: str = "") -> str:
        """Return a bearer token, for a client that may have one: whoever holds it may use it.

        `grant:ID` as scope gives one for that grant's deliveries. Raises Refusal.
        """
        return self.run(self.core.token(scope, bound=False)).value

    def headers(self, method: str, url: str, scope: str = "") -> dict[str, str]:
        """Return what one request shows: a token with its proof; at the token endpoint the proof.

        The URL of a grant at the gateway takes that grant's token. Raises Refusal.
        """
        path = httpx.URL(url).path
        if path.startswith(GRANTS):
            scope = f"grant:{path.removeprefix(GRANTS).partition('/')[0]}"
        token = self.run(self.core.token(scope))
        if path == TOKEN_PATH:  # the answer just now brought the nonce
            return {"DPoP": self.core.possession.proof(method, url)}
        return self.core.shows(token, method, url)

    def sign_in(self) -> None:
        """Get a token, as every request does that needs one; raises Refusal."""
        self.run(self.core.token())

    def assertion(self) -> str:
        """Return a fresh client assertion (RFC 7523 section 3), good once and for a minute."""
        return self.core.assertion()

    def issuer(self) -> str:
        """Return the issuer: the URL that the profile names, never what a server claims."""
        return self.core.issuer()

    def request(self, method: str, path: str, *, scope: str = "", **options: Any) -> httpx.Response:
        """Send one request with a token; raises Refusal."""
        return self.run(self.core.ask(method, path, scope=scope, **options))

    @contextmanager
    def stream(self, url: str, *, scope: str = "") -> Iterator[httpx.Response]:
        """Open an answer to be read piece by piece, as it was sent; raises Refusal."""
        shown = self.core.shows(self.run(self.core.token(scope)), "GET", url)
        headers = {**shown, "Accept-Encoding": "identity"}
        with self.http.stream("GET", url, headers=headers) as response:
            if not response.is_success:
                response.read()
            yield checked(response)

    def text(self, path: str) -> str:
        """Return the text at a path that needs no token."""
        return self.run(self.core.text(path))

    def get(self, path: str, *, scope: str = "", **params: Any) -> Any:
        """Return the JSON at a path; parameters that are None are left out."""
        return self.run(self.core.get(path, scope=scope, **params))

    def post(self, path: str, document: Any = None) -> Any:
        """Post JSON and return the answer."""
        return self.run(self.core.post(path, document))

    def post_openly(self, path: str, document: Any) -> Any:
        """Post JSON to a route that asks for no token and return the answer; raises Refusal."""
        return as_json(self.run(self.core.ask("POST", path, scope=None, json=document)))

    def register(self, invitation: str, document: Any) -> Any:
        """Register a client by an invitation (RFC 7591) and return the answer; raises Refusal."""
        shown = {"Authorization": f"Bearer {invitation}"}
        flow = self.core.ask("POST", "/oauth/register", scope=None, headers=shown, json=document)
        return as_json(self.run(flow))

    def put(self, path: str, document: Any) -> Any:
        """Put JSON and return the answer."""
        return as_json(self.request("PUT", path, json=document))

    def pages(self, path: str, **params: Any) -> Iterator[Any]:
        """Yield every item of a list, page after page."""
        while True:
            yield from self.run(self.core.page(path, params))
            if params["cursor"] is None:
                return

    def close(self) -> None:
        """Close the connection."""
        self.http.close()


class AsyncSession:
    """The same conversation on an event loop."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.profile = profile
        self.core = Core(profile)
        self.http = open_async_http(profile.url, headers={"Accept-Language": lang})
        self.sleep = asyncio.sleep

    async def run(self, flow: Flow[T]) -> T:
        """Take a verb's steps to its end, and return what it returns."""
        with closing(flow):
            done: Any = None
            failed: Exception | None = None
            while True:
                try:
                    step = flow.send(done) if failed is None else flow.throw(failed)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                done, failed = None, None
                try:
                    done = await self._take(step)
                except httpx.HTTPError as error:
                    failed = _because(error)
                except Exception as error:
                    failed = error

    async def _take(self, step: Step) -> Any:
        if isinstance(step, Pause):
            return await self.sleep(step.seconds)
        if isinstance(step, Work):
            return await asyncio.to_thread(step.does)
        options = _options(step)
        if step.body is not None:
            options["content"] = _in_threads(step.body.pieces())
        if step.sink is None:
            return await self.http.request(step.method, step.url, **options)
        async with self.http.stream(step.method, step.url, **options) as response:
            if not response.is_success:
                await response.aread()
                return response
            await asyncio.to_thread(step.sink.begin, response)
            async for piece in response.aiter_raw():
                await asyncio.to_thread(step.sink.write, piece)
            return response

    async def close(self) -> None:
        """Close the connection."""
        await self.http.aclose()


def open_http(url: str, **options: Any) -> httpx.Client:
    """Return a client; for an exchange on this machine no proxy of the environment is asked."""
    options.setdefault("timeout", SECONDS)
    return httpx.Client(base_url=url, trust_env=not _is_local(url), **options)


def open_async_http(url: str, **options: Any) -> httpx.AsyncClient:
    """Return a client for an event loop, otherwise as `open_http`."""
    options.setdefault("timeout", SECONDS)
    return httpx.AsyncClient(base_url=url, trust_env=not _is_local(url), **options)


def _options(step: Send) -> dict[str, Any]:
    return {**step.options, "headers": dict(step.headers)}


def _because(error: httpx.HTTPError) -> NotReachable:
    reason = NotReachable.because(error)
    reason.__cause__ = error
    return reason


async def _in_threads(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, b"")) != b"":
        yield piece


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified
