"""The client's two drivers behind one face: a test that is written once judges both."""

import asyncio
import threading
from dataclasses import replace

import httpx

from exchange.client import AsyncExchange, Exchange
from exchange.client.profile import new_profile

URL = "https://exchange.example"
MODES = ("blocking", "awaiting")


def joined(url=URL, **changes):
    return replace(new_profile(url), client_id="cli_1", organisation_id="org_me", **changes)


class Either:
    """Exchange or AsyncExchange: call verbs by name, lists come as lists."""

    def __init__(self, mode, profile, handler=None, lang="en"):
        self.threads = threading.active_count()  # others left theirs running before
        self.mode, self.paused = mode, []
        if mode == "blocking":
            self.me = Exchange.open(profile, lang=lang)
        else:
            self.loop = asyncio.new_event_loop()
            self.me = AsyncExchange.open(profile, lang=lang)
        session = self.me.session
        if handler is not None:
            kind = httpx.Client if mode == "blocking" else httpx.AsyncClient
            url, headers = session.profile.url, session.http.headers
            session.http = kind(
                transport=httpx.MockTransport(handler), base_url=url, headers=headers
            )
            session.sleep = self._slept if mode == "blocking" else self._paused

    def _slept(self, seconds):
        self.paused.append(seconds)

    async def _paused(self, seconds):
        self.paused.append(seconds)

    def __getattr__(self, name):
        verb = getattr(self.me, name)

        def call(*args, **kwargs):
            done = verb(*args, **kwargs)
            if self.mode == "awaiting":
                is_list = hasattr(done, "__aiter__")
                return self.loop.run_until_complete(_all(done) if is_list else done)
            return list(done) if hasattr(done, "__next__") else done

        return call

    def shut(self):
        if self.mode == "blocking":
            self.me.close()
        else:
            self.loop.run_until_complete(self.me.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
        assert threading.active_count() < self.threads + 20


async def _all(items):
    return [each async for each in items]
