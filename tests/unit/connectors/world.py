"""A gateway's surroundings for tests: an issuer with real keys, a door in memory, real files."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from joserfc import jwk, jwt
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from connectors.files import FileSource
from connectors.gateway.api import router
from connectors.gateway.door import Delivery, DoorRefused, DoorUnavailable, FileObject, Use
from connectors.gateway.problems import GatewayProblem, answer_problem
from connectors.gateway.source import Source
from exchange.formats.shown import Nonces
from exchange.formats.tokens import KeySet

ISSUER = "https://exchange.example"
AUDIENCE = "https://exchange.example/gateway"
PROVIDER = "org_" + "1" * 26
CONSUMER = "org_" + "2" * 26
CLIENT = "cli_" + "3" * 26
GRANT = "grt_k3x9_" + "4" * 26
OTHER_GRANT = "grt_k3x9_" + "5" * 26


NONCES = Nonces(b"n" * 32)


class Issuer:
    """Signs tokens as the exchange does."""

    def __init__(self) -> None:
        self.key = jwk.ECKey.generate_key("P-256", private=True)
        public = {**self.key.as_dict(private=False), "kid": self.key.thumbprint(), "alg": "ES256"}
        self.keys = KeySet({"keys": [public]})

    def token(self, grant_id: str = GRANT, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": changes.get("client_id", CLIENT),
            "client_id": CLIENT,
            "org_id": CONSUMER,
            "grant_id": grant_id,
            "scope": f"grant:{grant_id}",
            "authorization_details": [
                {"type": "dataset", "grant_id": grant_id, "actions": ["call", "read"]}
            ],
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + 300,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.thumbprint()}
        return jwt.encode(header, {**claims, **changes}, self.key)


@dataclass
class MemoryDoor:
    """Grants and uses in memory, with the same promises as the exchange's door."""

    grants: dict[str, Delivery] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)
    ends: dict[str, tuple[int, bool]] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    before_record: Any = None
    sessions_left: int | None = None
    watching: set[asyncio.Event] = field(default_factory=set)
    extended: list[tuple[str, int]] = field(default_factory=list)

    async def look_up(self, grant_id: str) -> Delivery | None:
        self._require("look_up")
        return self.grants.get(grant_id)

    async def record(self, use: Use) -> str:
        if self.before_record:
            self.before_record()
        self._require("record")
        grant = self.grants[use.grant_id]
        if grant.rev != use.rev:
            raise DoorRefused(f"grant_{grant.status}", f"The grant is {grant.status}.")
        if self.sessions_left == 0:
            raise DoorRefused("sessions_exhausted", "All sessions of this grant are used up.")
        if self.sessions_left is not None:
            self.sessions_left -= 1
        use_id = f"use_{len(self.uses)}"
        self.uses[use_id] = use
        return use_id

    @contextmanager
    def watch(self, delivery: Delivery) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self.watching.add(event)
        try:
            yield event
        finally:
            self.watching.discard(event)

    async def count(self, delivery: Delivery) -> None:
        raise AssertionError("no grant here has a rate")

    async def extend(self, use_id: str, more_bytes: int) -> None:
        self._require("extend")
        self.extended.append((use_id, more_bytes))

    async def finished(self, use_id: str, sent_bytes: int, complete: bool) -> None:
        self._require("finished")
        self.ends[use_id] = (sent_bytes, complete)

    def change(self, **changes: Any) -> None:
        grant = self.grants[GRANT]
        self.grants[GRANT] = replace(grant, **{"rev": grant.rev + 1, **changes})
        for event in self.watching:
            event.set()

    def _require(self, part: str) -> None:
        if part in self.away:
            raise DoorUnavailable(part)


@dataclass
class World:
    root: Path
    issuer: Issuer
    door: MemoryDoor
    files: FileSource
    app: FastAPI
    content: Mapping[str, bytes]

    @property
    def folder(self) -> Path:
        return self.root / PROVIDER / "flights"

    def bearer(self, **changes: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.issuer.token(**changes)}"}


def url(name: str = "january.csv", grant_id: str = GRANT) -> str:
    return f"/gateway/grants/{grant_id}/files/{name}"


async def answer_framework(request: Request, error: Exception) -> Response:
    """What app.py does with refusals of the framework itself: also problem documents."""
    status = getattr(error, "status_code", 422)
    return await answer_problem(request, GatewayProblem("framework", status, "No.", title="No"))


async def make_world(root: Path, content: Mapping[str, bytes], **changes: Any) -> World:
    """Files of one platform, published, and one grant that delivers them."""
    folder = root / PROVIDER / "flights"
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    files = FileSource(root)
    objects = await files.describe(PROVIDER, "flights")
    assert {item.name: item.sha256 for item in objects} == {
        name: hashlib.sha256(data).hexdigest() for name, data in content.items()
    }
    delivery = delivery_of(objects, "files", {"path": "flights"})
    door, issuer = MemoryDoor({GRANT: replace(delivery, **changes)}), Issuer()
    return World(root, issuer, door, files, app_of(door, issuer, {"files": files}), content)


def delivery_of(
    objects: tuple[FileObject, ...], connector: str, source: Mapping[str, Any]
) -> Delivery:
    """What an active grant of these objects allows."""
    return Delivery(
        grant_id=GRANT,
        client_id=CLIENT,
        consumer_id=CONSUMER,
        provider_id=PROVIDER,
        status="active",
        ends_ms=int(time.time() * 1000) + 3_600_000,
        obligations={"days": 30, "sessions": 5},
        offering_id="off_" + "6" * 26,
        offering_version=2,
        connector=connector,
        source=source,
        objects=objects,
        rev=7,
    )


def app_of(door: MemoryDoor, issuer: Issuer, sources: Mapping[str, Source]) -> FastAPI:
    """The gateway's routes as app.py serves them."""
    app = FastAPI()
    app.add_exception_handler(GatewayProblem, answer_problem)
    app.add_exception_handler(HTTPException, answer_framework)
    app.add_exception_handler(RequestValidationError, answer_framework)
    app.include_router(
        router(
            door,
            sources,
            lambda: issuer.keys,
            NONCES,
            issuer=ISSUER,
            audience=AUDIENCE,
            clock=lambda: time.time_ns() // 1_000_000,
        )
    )
    return app


def named(world: World, name: str) -> FileObject:
    return next(item for item in world.door.grants[GRANT].objects if item.name == name)
