"""The whole application in this process, HTTP and all, on a test's own database."""

import contextlib
import json
import time
from collections.abc import AsyncIterator

import httpx

from exchange.app import build_app
from exchange.clock import DAY_MS, now_ms
from exchange.formats.tokens import make_client_assertion
from exchange.http import Caller
from tests.support.desk import KEY, World, open_world
from tests.support.ledgers import OwnDatabase

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Web:
    """One worker: its parts, its clocks, and requests of a caller's client."""

    def __init__(self, app, http: httpx.AsyncClient) -> None:
        self.app, self.http, self.parts = app, http, app.state.parts
        self.tokens: dict[str, str] = {}

    async def token(self, caller: Caller) -> str:
        """An API token of the caller's client, kept: it outlives what it was issued under."""
        if caller.client_id not in self.tokens:
            url = self.parts.settings.issuer_url
            kept = json.loads((self.parts.settings.keys_dir / "operator.json").read_text())
            key = kept["key"] if caller.client_id == kept["client_id"] else KEY
            signed = make_client_assertion(key, caller.client_id, url, time.time())
            form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
            form["grant_type"] = "client_credentials"
            answer = await self.http.post("/oauth/token", data=form)
            self.tokens[caller.client_id] = answer.json()["access_token"]
        return self.tokens[caller.client_id]

    async def send(self, caller: Caller, method: str, path: str, **options) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.token(caller)}"}
        headers |= options.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, caller: Caller, path: str, **params) -> httpx.Response:
        return await self.send(caller, "GET", path, params=params)

    async def items(self, caller: Caller, path: str, **params) -> list[dict]:
        """Every item of a list, by pages of two."""
        found, cursor = [], {}
        while True:
            answer = await self.get(caller, path, limit=2, **params, **cursor)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if answer.json()["next"] is None:
                return found
            cursor = {"cursor": answer.json()["next"]}

    def set_clock(self, offset_ms: int) -> None:
        """Move the clocks of authentication and of the recorder."""
        for part in (self.app.state.authenticate, self.app.state.record_read):
            part._clock = lambda: now_ms() + offset_ms


@contextlib.asynccontextmanager
async def serve(database: OwnDatabase, **settings) -> AsyncIterator[Web]:
    """Serve from this process; on PostgreSQL several at once are several workers."""
    app = build_app(database.settings(**settings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield Web(app, http)


async def open_two_pairs(web: Web) -> tuple[World, World]:
    """Two worlds at one exchange that have nothing to do with each other."""
    return await open_world(web.parts), await open_world(web.parts)


def engagement(auditor: Caller, *named: str, **changes) -> dict:
    """What the operator posts to engage an auditor; for all where none is named."""
    body = {"auditor": auditor.org_id, "scope": "named" if named else "whole"}
    body |= {"organisations": list(named), "purpose": "Yearly audit 年度审计"}
    return body | {"ends_at": in_days(30)} | changes


def in_days(days: float) -> str:
    moment = time.gmtime((now_ms() + days * DAY_MS) / 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", moment)


def code(answer: httpx.Response) -> tuple[int, str]:
    """The status of a refusal, and its code."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("urn:exchange:problem:")
