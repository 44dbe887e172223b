"""A gateway that is connected to its exchange over HTTP alone: product code, and a door of claims.

It follows its platform's status list, verifies grant tokens, and answers what a token may have. It
reads no row of the exchange. As a process of its own: python -m tests.support.status_gateway
PROFILE PORT
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop

from connectors.gateway.clock import boot_time
from connectors.gateway.door import Delivery, Use
from connectors.gateway.issuer_keys import IssuerKeys
from connectors.gateway.problems import GatewayProblem
from connectors.gateway.status_follower import StatusFollower
from connectors.gateway.verify import Asking, Trust, verify_grant
from exchange.client.profile import Profile, read_profile
from exchange.client.session import AsyncSession
from exchange.clock import now_ms
from exchange.formats.jws import read_json, read_jws
from exchange.formats.shown import Nonces


class ClaimsDoor:
    """What a verified token claims, as a delivery; for one request."""

    def __init__(self, authorization: list[str]) -> None:
        self._authorization = authorization

    async def look_up(self, grant_id: str) -> Delivery:
        claims = read_json(read_jws(self._authorization[0].partition(" ")[2]).payload)
        [details] = claims["authorization_details"]
        return Delivery(
            grant_id=grant_id,
            client_id=claims["client_id"],
            consumer_id=claims["org_id"],
            provider_id="",
            status="active",
            ends_ms=claims["exp"] * 1000,
            obligations={},
            offering_id=details["offering"],
            offering_version=details["offering_version"],
            connector="none",
            source={},
            objects=(),
            rev=0,
        )

    @contextmanager
    def watch(self, _delivery: Delivery) -> Iterator[asyncio.Event]:
        yield asyncio.Event()

    async def record(self, _use: Use) -> str:
        raise NotImplementedError("it delivers nothing")

    async def count(self, delivery: Delivery) -> None:
        raise AssertionError("no grant here has a rate")

    async def extend(self, _use_id: str, _more: int) -> None:
        raise NotImplementedError("it delivers nothing")

    async def finished(self, _use_id: str, _sent: int, _complete: bool) -> None:
        raise NotImplementedError("it delivers nothing")


@dataclass
class Clocks:
    """This machine's clocks, moved as a test likes (seconds)."""

    wall_moved: float = 0.0
    boot_moved: float = 0.0

    def wall_ms(self) -> int:
        return now_ms() + round(self.wall_moved * 1000)

    def boot(self) -> float:
        return boot_time() + self.boot_moved


@dataclass
class HttpGateway:
    """The gateway, once its exchange's keys are known. An ASGI application too."""

    trust: Trust
    follower: StatusFollower
    clocks: Clocks = field(default_factory=Clocks)

    async def says(self, grant_id: str, token: str) -> str:
        """`ok`, or the code of the refusal."""
        status, document = await self.answer(grant_id, [f"Bearer {token}"])
        return "ok" if status == 200 else document["type"].rpartition(":")[2]

    async def answer(self, grant_id: str, authorization: list[str]) -> tuple[int, dict[str, Any]]:
        trust = replace(self.trust, door=ClaimsDoor(authorization))
        asking = Asking(authorization, [], "GET", f"/grants/{grant_id}")
        try:
            allowed = await verify_grant(asking, grant_id, trust)
        except GatewayProblem as problem:
            return problem.status, problem.document()
        return 200, {"offering_id": allowed.delivery.offering_id}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        values = [v.decode("latin-1") for n, v in scope["headers"] if n == b"authorization"]
        status, document = await self.answer(scope["path"].rpartition("/")[2], values)
        body = json.dumps(document).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Via(httpx.AsyncHTTPTransport):
    """Sends everything to another port of this machine: a line that a test can cut."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=self._port)
        return await super().handle_async_request(request)


@asynccontextmanager
async def http_gateway(
    profile: Profile, *, port: int | None = None, clocks: Clocks | None = None
) -> AsyncIterator[HttpGateway]:
    """A gateway of the platform whose client `profile` is; `port`: of the line to the exchange."""
    clocks, session = clocks or Clocks(), AsyncSession(profile)
    transport = Via(port) if port is not None else httpx.AsyncHTTPTransport()
    async with httpx.AsyncClient(transport=transport, timeout=10, trust_env=False) as http:
        keys = IssuerKeys(http, f"{profile.url}/oauth/jwks")
        follower = StatusFollower(
            http,
            f"{profile.url}/v1/status-lists/{profile.organisation_id}",
            issuer=profile.url,
            keys=keys.known,
            learn=keys.learn,
            credentials=Conversation(session),
            clock=clocks.boot,
        )
        trust = Trust(
            ClaimsDoor([]),
            keys.known,
            Nonces(os.urandom(32)),
            profile.url,
            f"{profile.url}/gateway",
            clocks.wall_ms,
            follower,
            learn=keys.learn,
        )
        async with keys.running(), follower.running():
            yield HttpGateway(trust, follower, clocks)
    await session.close()


class Conversation:
    """`connectors.gateway.status_follower.Credentials`: tokens that are bound to a key."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def show(self, url: str) -> dict[str, str]:
        token = await self._session.run(self._session.core.token("status"))
        assert token.kind == "dpop"
        return self._session.core.shows(token, "GET", url)

    def learn(self, answer: httpx.Response) -> None:
        if answer.status_code in (200, 401):
            self._session.core.possession.learns(answer)


class Link:
    """A line on loopback to a port, for one event loop: cut, or stood still."""

    def __init__(self, leads_to: int) -> None:
        self._leads_to = leads_to
        self._pairs = set[asyncio.Task[None]]()
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self.port = 0
        self.turned_away = 0

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        self._is_cut = True
        for pair in self._pairs:
            pair.cancel()

    def stand_still(self) -> None:
        """Nothing comes down any more, and nobody is told."""
        self._flows.clear()

    def mend(self) -> None:
        self._is_cut = False
        self._flows.set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.turned_away += 1
            writer.close()
            return
        task = asyncio.current_task()
        assert task
        self._pairs.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._leads_to)
            up = asyncio.create_task(self._carry(reader, far_writer, asyncio.Event()))
            try:
                await self._carry(far_reader, writer, self._flows)
            finally:
                up.cancel()
                far_writer.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(task)
            writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flows: asyncio.Event
    ) -> None:
        while piece := await reader.read(65536):
            if flows is self._flows:
                await flows.wait()
            writer.write(piece)
            await writer.drain()


async def _serve(profile: Profile, port: int) -> None:
    async with http_gateway(profile) as gateway:
        config = uvicorn.Config(
            gateway, port=port, lifespan="off", access_log=False, log_level="warning"
        )
        await gateway.follower.until_known()
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(_serve(read_profile(Path(sys.argv[1])), int(sys.argv[2])))
