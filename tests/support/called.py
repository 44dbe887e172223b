"""A gateway in front of a service: connections and grants in memory, the exchange's own front."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from connectors.forward.limits import Waits
from connectors.gateway.api import router
from connectors.gateway.door import Connection, Delivery, DoorUnavailable
from connectors.gateway.problems import GatewayProblem, answer_problem
from connectors.http import HttpSource
from exchange.guard import Guard
from exchange.outward.allow import AllowList
from exchange.outward.connect import Resolve
from exchange.settings import Settings
from tests.support.upstream import Upstream
from tests.unit.connectors.served import ask, connect, read_head, read_on, until
from tests.unit.connectors.world import (
    AUDIENCE,
    CLIENT,
    CONSUMER,
    GRANT,
    ISSUER,
    NONCES,
    PROVIDER,
    Issuer,
    MemoryDoor,
    answer_framework,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONNECTION = "con_" + "7" * 26
SECRET = "the-platforms-own-key-3141592653"
ALL = ["GET /*", "HEAD /*", "POST /*", "PUT /*", "PATCH /*", "DELETE /*", "OPTIONS /*"]
QUICK = Waits(slot=1.0, connect=1.0, first_byte=1.5, between=1.0, reader=20.0)


@dataclass
class MemoryConnections:
    """Connections in memory, with the promises of the exchange's."""

    kept: dict[tuple[str, str], Connection] = field(default_factory=dict)
    away: bool = False

    async def connection(self, org_id: str, connection_id: str) -> Connection | None:
        if self.away:
            raise DoorUnavailable
        return self.kept.get((org_id, connection_id))


@dataclass
class Called:
    """Who is there, and one grant of calls."""

    app: FastAPI
    issuer: Issuer
    door: MemoryDoor
    connections: MemoryConnections
    source: HttpSource
    port: int = 0

    @property
    def token(self) -> str:
        return f"Bearer {self.issuer.token()}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.token}

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{target(path)}"

    def offer(self, **source: Any) -> None:
        """Change what the offering says."""
        self.door.change(source={**self.door.grants[GRANT].source, **source})

    def connect(self, **changes: Any) -> None:
        """Change the platform's connection."""
        key = (PROVIDER, CONNECTION)
        kept = self.connections.kept[key]
        self.connections.kept[key] = replace(kept, rev=kept.rev + 1, **changes)


def target(path: str = "") -> str:
    return f"/gateway/grants/{GRANT}/call/{path}"


def make_called(
    url: str,
    *,
    allow: str | None = None,
    resolve: Resolve | None = None,
    waits: Waits = QUICK,
    secret: Mapping[str, str] | None = None,
    rules: Sequence[str] = ALL,
    settings: Settings | None = None,
    **source: Any,
) -> Called:
    """A gateway, and one grant of calls to the service at `url`, which the operator allows."""
    connection = Connection(
        CONNECTION,
        PROVIDER,
        "http",
        url,
        {"header": "X-Api-Key"},
        {"value": SECRET} if secret is None else secret,
        1,
    )
    delivery = Delivery(
        grant_id=GRANT,
        client_id=CLIENT,
        consumer_id=CONSUMER,
        provider_id=PROVIDER,
        status="active",
        ends_ms=int(time.time() * 1000) + 3_600_000,
        obligations={"days": 30},
        offering_id="off_" + "6" * 26,
        offering_version=1,
        connector="http",
        source={"connector": "http", "connection": CONNECTION, "allow": list(rules)} | source,
        objects=(),
        rev=3,
    )
    door, issuer = MemoryDoor({GRANT: delivery}), Issuer()
    connections = MemoryConnections({(PROVIDER, CONNECTION): connection})
    listed = "127.0.0.1" if allow is None else allow
    http = HttpSource(connections, AllowList(listed, public=True), resolve=resolve, waits=waits)
    app = FastAPI(redirect_slashes=False)
    app.add_middleware(Guard, settings=settings or Settings())
    app.add_exception_handler(GatewayProblem, answer_problem)
    app.add_exception_handler(HTTPException, answer_framework)
    app.add_exception_handler(RequestValidationError, answer_framework)
    app.include_router(
        router(
            door,
            {},
            lambda: issuer.keys,
            NONCES,
            issuer=ISSUER,
            audience=AUDIENCE,
            clock=lambda: time.time_ns() // 1_000_000,
            services=http,
        )
    )
    return Called(app, issuer, door, connections, http)


class Pair:
    """A gateway and a service behind it, each as it was at first for each test."""

    def __init__(self, called: Called, upstream: Upstream) -> None:
        self.called, self.upstream = called, upstream
        self._grant = called.door.grants[GRANT]
        self._connection = called.connections.kept[(PROVIDER, CONNECTION)]

    def reset(self) -> None:
        door = self.called.door
        until(lambda: len(door.ends) == len(door.uses))
        door.change(**{name: getattr(self._grant, name) for name in ("source", "obligations")})
        door.change(status="active")
        door.uses.clear()
        door.ends.clear()
        door.before_record = None
        self.called.connections.away = False
        # Another service: what was on its way to the last one is not this test's.
        self.upstream.__exit__()
        self.upstream = Upstream().start()
        self.called.connect(url=self.upstream.url, secret=self._connection.secret)

    def ask(self, path: str = "x", method: str = "GET", **options: Any) -> httpx.Response:
        """One call; headers beside the token's come in `headers`."""
        headers = self.called.headers | options.pop("headers", {})
        return httpx.request(method, self.called.url(path), headers=headers, timeout=30, **options)

    def refused(self, status: int, code: str, *args: Any, **options: Any) -> dict[str, Any]:
        """One call that must be refused so, with nothing of the service or its secret in it."""
        answer = self.ask(*args, **options)
        assert (answer.status_code, answer.json()["type"]) == (
            status,
            f"urn:exchange:problem:{code}",
        ), answer.text
        told = answer.text + str(answer.headers)
        assert SECRET not in told
        assert str(self.upstream.port) not in told
        return answer.json()

    def ends(self, count: int = 1) -> list[tuple[int, bool]]:
        """How the uses ended, when so many have."""
        until(lambda: len(self.called.door.ends) >= count)
        return list(self.called.door.ends.values())


def read_whole(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer with a length."""
    status, headers, body = read_head(connection)
    return status, headers, body + read_on(connection, int(headers["content-length"]) - len(body))


def received(pair: Pair) -> tuple[int, bytes]:
    """One call by hand: its status, and all that came until the connection's end, cut or not."""
    with connect(pair.called.port) as connection:
        lines = (f"Authorization: {pair.called.token}", "Connection: close")
        ask(connection, f"/gateway/grants/{GRANT}/call/x", *lines)
        status, _, rest = read_head(connection)
        return status, rest + read_on(connection, 1 << 30)


@contextlib.contextmanager
def paired(**options: Any) -> Iterator[Pair]:
    """A gateway in front of a service, both serving."""
    with Upstream() as upstream, calling(make_called(upstream.url, **options)) as called:
        pair = Pair(called, upstream)
        try:
            yield pair
        finally:
            pair.upstream.__exit__()


@contextlib.contextmanager
def calling(called: Called) -> Iterator[Called]:
    """Serve it as the exchange does: its parser, its guard, on a free loopback port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        called.app,
        log_level="critical",
        loop="uvloop",
        http="exchange.connection:BoundedProtocol",
        ws="none",
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
    thread.start()
    called.port = listener.getsockname()[1]
    try:
        yield called
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()
