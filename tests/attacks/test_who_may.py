"""Who may do what: each cell of the table in tests/support/who_may.py, asserted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from exchange.client.session import Session
from tests.support.actors import SANDBOX_TERMS, SME_ATTRIBUTES, join, member, publish
from tests.support.good_requests import GOOD
from tests.support.server import ExchangeServer
from tests.support.story import WEBHOOK, World, make_world
from tests.support.who_may import (
    EVERYBODY,
    LISTS,
    MEMBERS,
    NO_ORGANISATION,
    ORGANISATIONS,
    OWN,
    PEOPLE,
    SANDBOX,
    WHO_MAY,
)

REFUSED = (401, 403, 404)


@dataclass
class Place:
    """The world, everybody in it, and the world as seen from each organisation's own affairs."""

    world: World
    http: httpx.Client
    sessions: dict[str, Session]
    own: dict[str, World]
    things: dict[str, str]

    def headers(self, actor: str) -> dict[str, str]:
        if actor in NO_ORGANISATION:
            return self.world.role(actor)
        return {"Authorization": f"Bearer {self.sessions[actor].token()}"}

    def send(self, label: str, actor: str, world: World) -> httpx.Response:
        """The good request of an operation, as this actor sends it."""

        def send(_role: str, path: str, **options: Any) -> httpx.Response:
            headers = self.headers(actor) | options.pop("headers", {})
            return self.http.request(label.split()[0], path, headers=headers, **options)

        return GOOD[label](world, send)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        ExchangeServer(tmp_path_factory.mktemp("who") / "state") as server,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        world = make_world(server)
        other = join(world.operator, "Another SME", ["sme"], SME_ATTRIBUTES)
        programs = {name: getattr(world, name, other) for name in ORGANISATIONS}
        sessions, own = dict(programs), {}
        for name, program in programs.items():
            for role in PEOPLE:
                sessions[f"{name}'s {role}"] = member(world.operator, program, role, [role])
            hooks = [program.post("/v1/webhooks", WEBHOOK)["id"] for _ in range(2)]
            own[name] = replace(world, sme=program, webhook=hooks[0], spare_webhook=hooks[1])
        own["sme"] = world
        private = publish(
            world.platform,
            file_name="private.bin",
            audience=[world.sme.profile.organisation_id],
        )
        things = {
            "organisation": world.sme.profile.organisation_id,
            "client": world.sme.profile.client_id,
            "offering": world.offering["id"],
            "a rival's draft": world.draft["id"],
            "private": private["id"],
            "request": world.answer["id"],
            "grant": world.grant_id,
            "hold": world.hold,
            "webhook": world.webhook,
            "engagement": world.engagement,
        }
        things["sandbox"] = publish(world.platform, **SANDBOX_TERMS)["id"]
        yield Place(world, http, sessions, own, things)


def check(response: httpx.Response, actor: str, allowed: set[str]) -> None:
    if actor in allowed:
        assert response.is_success, response.text
    else:
        assert response.status_code in REFUSED, response.text


@pytest.mark.parametrize("actor", sorted(EVERYBODY))
@pytest.mark.parametrize("label", GOOD)
def test_who_may(label: str, actor: str, place: Place) -> None:
    """Aimed at the platform's and the SME's: own to these two, another's to everybody else."""
    check(place.send(label, actor, place.world), actor, WHO_MAY[label])


@pytest.mark.parametrize("actor", sorted(MEMBERS))
@pytest.mark.parametrize("label", OWN)
def test_who_may_with_their_own(label: str, actor: str, place: Place) -> None:
    own = place.own[actor.split("'")[0]]
    check(place.send(label, actor, own), actor, OWN[label])


@pytest.mark.parametrize("actor", sorted(EVERYBODY))
def test_who_may_try_a_sandbox(actor: str, place: Place) -> None:
    """Whatever the organisation is; in it programs and developers, as for whatever is asked for."""
    body = {"offering_id": place.things["sandbox"], "purpose": "trial", "days": 3}
    response = place.http.post("/v1/access-requests", json=body, headers=place.headers(actor))
    check(response, actor, SANDBOX)
    if actor in SANDBOX:
        assert response.json()["grant"]["status"] == "active"


@pytest.mark.parametrize("actor", sorted(EVERYBODY))
@pytest.mark.parametrize(("path", "thing"), LISTS)
def test_who_finds_it_in_a_list(path: str, thing: str, actor: str, place: Place) -> None:
    found, cursor = set(), {}
    while True:
        response = place.http.get(
            path, params={"limit": 100, **cursor}, headers=place.headers(actor)
        )
        if actor not in MEMBERS:
            assert response.status_code in REFUSED
            return
        page = response.json()
        found.update(item["id"] for item in page["items"])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert (place.things[thing] in found) == (actor in LISTS[path, thing])
