"""A whole small world at a running exchange: every role, and one thing of each kind to point at."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from exchange.client.session import Refusal, Session
from tests.support.actors import (
    SME_ATTRIBUTES,
    TERMS,
    ask,
    engage,
    join,
    member,
    operator,
    publish,
    publish_service,
)
from tests.support.infra import postgres_server
from tests.support.server import UPSTREAM_ALLOW, WEBHOOK_ALLOW, ExchangeServer
from tests.support.upstream import METHODS, Upstream

WEBHOOK = {"url": f"http://{WEBHOOK_ALLOW}/hook"}
CREDENTIAL = {"kind": "header", "name": "X-Api-Key", "value": "planted-0a1b2c3d4e5f"}
CONNECTION = {
    "kind": "http",
    "name": "Our service 我们的服务",
    "url": f"http://{UPSTREAM_ALLOW}/v1",
    "credential": CREDENTIAL,
}
DATABASES = [
    pytest.param("sqlite", marks=pytest.mark.sqlite),
    pytest.param("postgres", marks=pytest.mark.postgres),
]


@contextmanager
def exchange_on(database: str, folder: Path, **settings: object) -> Iterator[ExchangeServer]:
    """A running exchange on one of the DATABASES, with a fresh state below `folder`."""
    state = folder / "state"
    if database == "sqlite":
        with ExchangeServer(state, **settings) as server:
            yield server
        return
    postgres, name = postgres_server(), f"exchange_{secrets.token_hex(6)}"
    url = postgres.create_database(name)
    try:
        with ExchangeServer(state, database_url=url, **settings) as server:
            yield server
    finally:
        postgres.drop_database(name)


@dataclass(frozen=True)
class World:
    """What exists; `spare_…` is for requests that use a thing up."""

    server: ExchangeServer
    operator: Session
    platform: Session
    sme: Session
    auditor: Session
    idle: Session
    rival: Session
    approver: Session
    offering: dict
    draft: dict
    spare_offering: dict
    spare_client: str
    spare_member: str
    answer: dict
    denied: dict
    spare_answer: dict
    webhook: str
    spare_webhook: str
    waiting: dict
    hold: str
    engagement: str
    spare_engagement: str
    connection: str
    spare_connection: str
    service: Upstream
    call_grant_id: str

    @property
    def grant_id(self) -> str:
        return self.answer["grant"]["id"]

    def role(self, name: str) -> dict[str, str]:
        """The Authorization header of a role, `nobody` included."""
        if name == "nobody":
            return {}
        if name == "grant token":
            return {"Authorization": f"Bearer {self.sme.token('grant:' + self.grant_id)}"}
        if name == "call token":
            return {"Authorization": f"Bearer {self.sme.token('grant:' + self.call_grant_id)}"}
        return {"Authorization": f"Bearer {getattr(self, name).token()}"}


TOKENS = ("grant token", "call token")
ROLES = ("operator", "platform", "approver", "sme", "auditor", "idle", "nobody", *TOKENS)


def make_world(server: ExchangeServer) -> World:
    """Register, publish, ask, be refused: all through the public API."""
    by = operator(server.state)
    platform = join(by, "Harbour Data 港口数据", ["platform"])
    rival = join(by, "Another Platform", ["platform"])
    sme = join(by, "Small Analytics 小型分析", ["sme"], SME_ATTRIBUTES)
    auditor = join(by, "Auditor", ["auditor"])
    spare = join(by, "Spare", ["sme"], SME_ATTRIBUTES)
    [engagement] = [each["id"] for each in auditor.pages("/v1/engagements")]
    approver = member(by, platform, "Anna", ["approver"])
    offering = publish(platform)
    spare_offering = publish(platform, b"other bytes", file_name="spare.bin")
    draft = rival.post("/v1/offerings", TERMS | {"title_en": "A rival's draft"})
    answer = ask(sme, offering)
    denied = refused(sme, offering, purpose="marketing")
    spare_answer = ask(spare, offering)
    invited = by.post(
        f"/v1/organisations/{spare.profile.organisation_id}/members",
        {"name": "Somebody", "roles": ["auditor"]},
    )
    hook, spare_hook = (sme.post("/v1/webhooks", WEBHOOK)["id"] for _ in range(2))
    waiting = ask(sme, publish(platform, b"asked for", file_name="asked.bin", approval="provider"))
    connection, spare_connection = (
        platform.post("/v1/connections", CONNECTION)["id"] for _ in range(2)
    )
    service = Upstream().start()
    calls = publish_service(platform, service.url, *(f"{method} /*" for method in METHODS))
    call_grant = ask(sme, calls, actions=["call"])["grant"]["id"]
    hold = platform.post("/v1/holds", {"target": answer["grant"]["id"], "reason": "unpaid"})["id"]
    platform.post(f"/v1/holds/{hold}/lift", {"text": "paid"})
    return World(
        server=server,
        operator=by,
        platform=platform,
        sme=sme,
        auditor=auditor,
        idle=join(by, "Auditor without an engagement", ["auditor"], engaged=False),
        rival=rival,
        approver=approver,
        offering=offering,
        draft=draft,
        spare_offering=spare_offering,
        spare_member=invited["member"]["id"],
        spare_client=spare.profile.client_id,
        answer=answer,
        denied=denied,
        spare_answer=spare_answer,
        webhook=hook,
        spare_webhook=spare_hook,
        waiting=waiting,
        hold=hold,
        engagement=engagement,
        spare_engagement=engage(by, auditor.profile.organisation_id)["id"],
        connection=connection,
        spare_connection=spare_connection,
        service=service,
        call_grant_id=call_grant,
    )


def refused(sme: Session, offering: dict, **asked) -> dict:
    """Ask for what the policy refuses, and return the refused request."""
    try:
        ask(sme, offering, **asked)
    except Refusal as refusal:
        return refusal.document["access_request"]
    raise AssertionError("the policy permitted what it should refuse")


def assert_problem(response: httpx.Response, status: int | None = None, code: str = "") -> dict:
    """An RFC 9457 document that says what its HTTP response says."""
    assert response.status_code >= 400, response.status_code
    if status is not None:
        assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json", response.headers
    if response.request.method == "HEAD":
        return {}
    document = response.json()
    assert document["status"] == response.status_code
    assert document["type"].startswith("urn:exchange:problem:"), document
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == response.headers["x-request-id"]
    if code:
        assert document["type"] == f"urn:exchange:problem:{code}", document
    return document


def call(world: World, role: str, method: str, path: str, **options) -> httpx.Response:
    """One request as a role, whatever its answer."""
    headers = world.role(role) | options.pop("headers", {})
    return httpx.request(method, world.server.url + path, headers=headers, timeout=20, **options)


def post_raw(world: World, role: str, path: str, body: bytes, method="POST") -> httpx.Response:
    """One request with these bytes as JSON."""
    headers = {"Content-Type": "application/json"}
    return call(world, role, method, path, content=body, headers=headers)


def alive(world: World) -> None:
    """The server still does its work, and no request ended in its general failure."""
    assert httpx.get(world.server.url + "/readyz", timeout=20).status_code == 200
    assert "unexpected_error" not in world.server.log()
