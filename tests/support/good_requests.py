"""One good request of each operation: what the API is for, and what attacks start from."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from exchange.client.profile import jwks_of, new_profile
from exchange.client.session import Session
from tests.support.actors import TERMS, ask, engage, engagement, publish
from tests.support.good_clients import CLIENTS
from tests.support.good_oauth import OAUTH, TOKEN_KEYS
from tests.support.good_uploads import UPLOADS
from tests.support.story import CONNECTION, CREDENTIAL, WEBHOOK, World
from tests.support.upstream import METHODS

Send = Callable[..., httpx.Response]
Good = Callable[[World, Send], httpx.Response]


def _invite(world: World) -> dict[str, Any]:
    return world.operator.post(f"/v1/organisations/{org(world.sme)}/members", PERSON)


def _person(world: World) -> str:
    """Somebody invited: whom nobody removed, since an organisation has so many members at most."""
    members = world.operator.pages(f"/v1/organisations/{org(world.sme)}/members")
    spare = (m["id"] for m in members if (m["name"], m["status"]) == (PERSON["name"], "invited"))
    return next(spare, None) or _invite(world)["member"]["id"]


def _accept(world: World, send: Send) -> httpx.Response:
    body = {"invitation": _invite(world)["invitation"], "jwks": jwks_of(new_profile(""))}
    return send("nobody", "/v1/invitations/accept", json=body)


def _own_offering(world: World, send: Send, verb: str = "", **options: Any) -> httpx.Response:
    draft = world.platform.post("/v1/offerings", TERMS)
    if verb == "/withdraw":
        world.platform.post(f"/v1/offerings/{draft['id']}/publish")
    return send("platform", f"/v1/offerings/{draft['id']}{verb}", **options)


def _of_a_table(world: World, send: Send, what: str) -> httpx.Response:
    rows = b"day,kilograms\n2026-01-01,1200\n"
    made = publish(world.platform, rows, file_name="table.csv", sample_rows=2)
    return send("sme", f"/v1/offerings/{made['id']}/{what}")


def _revoke(world: World, send: Send) -> httpx.Response:
    grant = world.spare_answer["grant"]["id"]
    return send("platform", f"/v1/grants/{grant}/revoke", json={"reason": "other"})


def _remove_webhook(world: World, send: Send) -> httpx.Response:
    kept = (world.webhook, world.spare_webhook)
    spare = [w for w in world.sme.pages("/v1/webhooks") if w["id"] not in kept]
    chosen = spare[0] if spare else world.sme.post("/v1/webhooks", WEBHOOK)
    return send("sme", f"/v1/webhooks/{chosen['id']}")


def pending(world: World) -> str:
    """A request that waits for its platform's approval."""
    offering = publish(world.platform, approval="provider", file_name="data.bin")
    return ask(world.sme, offering)["id"]


def _act(who: str, act: str, body: Any = None) -> Good:
    def request(world: World, send: Send) -> httpx.Response:
        waiting = pending(world)
        if act in ("answer", "appeal"):
            step = "ask" if act == "answer" else "reject"
            world.approver.post(f"/v1/access-requests/{waiting}/{step}", {"text": "Why?"})
        return send(
            who, f"/v1/access-requests/{waiting}/{act}", json=body or {"text": "For winter."}
        )

    return request


def _renew(world: World, send: Send) -> httpx.Response:
    grant = ask(world.sme, publish(world.platform, file_name="data.bin"), days=3)["grant"]["id"]
    return send("sme", f"/v1/grants/{grant}/renew", json={"days": 60})


def _hold(world: World, send: Send, *, then: str = "") -> httpx.Response:
    """Place a hold of the platform's and lift it again, one of the two as asked for."""
    target = {"target": world.spare_offering["id"], "reason": "under_investigation"}
    if not then:
        placed = send("platform", "/v1/holds", json=target)
        if placed.is_success:
            world.operator.post(f"/v1/holds/{placed.json()['id']}/lift", {})
        return placed
    hold = world.platform.post("/v1/holds", target)["id"]
    try:
        return send("platform", f"/v1/holds/{hold}{then}", json={"text": "settled"})
    finally:
        world.platform.post(f"/v1/holds/{hold}/lift", {})


def _give_up(world: World, send: Send) -> httpx.Response:
    made = engage(world.operator, org(world.auditor), org(world.sme))
    path = f"/v1/engagements/{made['id']}/end"
    try:
        return send("auditor", path)
    finally:
        world.operator.post(path)


def _spare_connection(world: World) -> str:
    """A connection of the platform's to be changed or used up."""
    kept = (world.connection, world.spare_connection)
    spare = [
        each["id"]
        for each in world.platform.pages("/v1/connections")
        if each["id"] not in kept and each["url"].startswith(CONNECTION["url"])
    ]
    return spare[0] if spare else world.platform.post("/v1/connections", CONNECTION)["id"]


def _retire(world: World, send: Send) -> httpx.Response:
    """What older keys sealed is sealed anew first, by the sweep."""
    deadline = time.monotonic() + 20
    while any(
        key["credentials"] and not key["seals"]
        for key in world.operator.get("/v1/keys/master")["keys"]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return send("operator", "/v1/keys/master/retire")


def org(session: Session) -> str:
    return session.profile.organisation_id


ORGANISATION = {"name_en": "New", "name_zh": "新", "roles": ["sme"], "attributes": {"headcount": 9}}
PERSON = {"name": "Anna 安娜", "roles": ["developer"]}

GOOD: dict[str, Good] = {
    "GET /": lambda w, send: send("nobody", "/?lang=zh"),
    "GET /healthz": lambda w, send: send("nobody", "/healthz"),
    "GET /readyz": lambda w, send: send("nobody", "/readyz"),
    **OAUTH,
    "POST /v1/organisations": lambda w, send: send(
        "operator", "/v1/organisations", json=ORGANISATION
    ),
    "GET /v1/organisations": lambda w, send: send("auditor", "/v1/organisations?limit=2"),
    "GET /v1/organisations/{org_id}": lambda w, send: send(
        "sme", f"/v1/organisations/{org(w.sme)}"
    ),
    "PUT /v1/organisations/{org_id}/attributes/{name}": lambda w, send: send(
        "operator",
        f"/v1/organisations/{org(w.rival)}/attributes/headcount",
        json={"value": 7, "evidence": "verified"},
    ),
    **CLIENTS,
    "POST /v1/organisations/{org_id}/members": lambda w, send: send(
        "operator", f"/v1/organisations/{org(w.sme)}/members", json=PERSON
    ),
    "GET /v1/organisations/{org_id}/members": lambda w, send: send(
        "sme", f"/v1/organisations/{org(w.sme)}/members"
    ),
    "GET /v1/members/{member_id}": lambda w, send: send("sme", f"/v1/members/{_person(w)}"),
    "PUT /v1/members/{member_id}": lambda w, send: send(
        "operator",
        f"/v1/members/{_person(w)}",
        json={"roles": ["owner", "auditor"]},
    ),
    "POST /v1/members/{member_id}/remove": lambda w, send: send(
        "operator", f"/v1/members/{_person(w)}/remove"
    ),
    "POST /v1/invitations/accept": _accept,
    "GET /v1/me": lambda w, send: send("sme", "/v1/me"),
    "PUT /v1/files/{name}": lambda w, send: send("platform", "/v1/files/good.csv", content=b"a,b"),
    **UPLOADS,
    "POST /v1/offerings": lambda w, send: send("platform", "/v1/offerings", json=TERMS),
    "GET /v1/offerings": lambda w, send: send(
        "sme", "/v1/offerings?limit=1&q=航班&kind=dataset&purpose=logistics_planning"
    ),
    "GET /v1/offerings/{offering_id}": lambda w, send: send(
        "sme", f"/v1/offerings/{w.offering['id']}"
    ),
    "GET /v1/offerings/facets": lambda w, send: send("sme", "/v1/offerings/facets?q=flights"),
    "GET /v1/offerings/{offering_id}/versions": lambda w, send: send(
        "sme", f"/v1/offerings/{w.offering['id']}/versions?limit=1"
    ),
    "GET /v1/offerings/{offering_id}/versions/{version}": lambda w, send: send(
        "sme", f"/v1/offerings/{w.offering['id']}/versions/1"
    ),
    "PUT /v1/offerings/{offering_id}": lambda w, send: _own_offering(w, send, json=TERMS),
    "GET /v1/offerings/{offering_id}/schema": lambda w, send: _of_a_table(w, send, "schema"),
    "GET /v1/offerings/{offering_id}/sample": lambda w, send: _of_a_table(w, send, "sample"),
    "GET /v1/offerings/{offering_id}/dcat": lambda w, send: send(
        "sme", f"/v1/offerings/{w.offering['id']}/dcat"
    ),
    "GET /v1/catalog/dcat": lambda w, send: send("sme", "/v1/catalog/dcat?limit=1"),
    "POST /v1/offerings/{offering_id}/publish": lambda w, send: _own_offering(w, send, "/publish"),
    "POST /v1/offerings/{offering_id}/withdraw": lambda w, send: _own_offering(
        w, send, "/withdraw"
    ),
    "POST /v1/access-requests": lambda w, send: send(
        "sme",
        "/v1/access-requests",
        json={"offering_id": w.offering["id"], "purpose": "scientific_research", "days": 3},
    ),
    "GET /v1/access-requests": lambda w, send: send("sme", "/v1/access-requests"),
    "GET /v1/access-requests/{request_id}": lambda w, send: send(
        "sme", f"/v1/access-requests/{w.denied['id']}", headers={"Accept-Language": "zh"}
    ),
    "GET /v1/access-requests/{request_id}/steps": lambda w, send: send(
        "sme", f"/v1/access-requests/{w.denied['id']}/steps"
    ),
    "POST /v1/access-requests/{request_id}/approve": _act("approver", "approve"),
    "POST /v1/access-requests/{request_id}/reject": _act("approver", "reject"),
    "POST /v1/access-requests/{request_id}/ask": _act("approver", "ask"),
    "POST /v1/access-requests/{request_id}/answer": _act("sme", "answer"),
    "POST /v1/access-requests/{request_id}/comment": _act("sme", "comment"),
    "POST /v1/access-requests/{request_id}/withdraw": _act("sme", "withdraw"),
    "POST /v1/access-requests/{request_id}/appeal": _act("sme", "appeal"),
    "POST /v1/policy/explain": lambda w, send: send(
        "sme",
        "/v1/policy/explain",
        json={"offering_id": w.offering["id"], "purpose": "marketing", "days": 400},
    ),
    "POST /v1/grants/{grant_id}/renew": _renew,
    "GET /v1/grants": lambda w, send: send("platform", "/v1/grants"),
    "GET /v1/grants/{grant_id}": lambda w, send: send("sme", f"/v1/grants/{w.grant_id}"),
    "GET /v1/grants/{grant_id}/usage": lambda w, send: send(
        "sme", f"/v1/grants/{w.grant_id}/usage"
    ),
    "GET /v1/usage": lambda w, send: send("platform", "/v1/usage", params={"by": "consumer"}),
    "POST /v1/grants/{grant_id}/revoke": _revoke,
    "GET /v1/status-lists/{org_id}": lambda w, send: send(
        "platform", f"/v1/status-lists/{org(w.platform)}"
    ),
    "GET /v1/status-lists/{org_id}/events": lambda w, send: send(
        "platform", f"/v1/status-lists/{org(w.platform)}/events?nonce={'n' * 22}&seconds=0"
    ),
    "POST /v1/webhooks": lambda w, send: send("sme", "/v1/webhooks", json=WEBHOOK),
    "GET /v1/webhooks": lambda w, send: send("sme", "/v1/webhooks"),
    "GET /v1/webhooks/{webhook_id}": lambda w, send: send("sme", f"/v1/webhooks/{w.webhook}"),
    "DELETE /v1/webhooks/{webhook_id}": _remove_webhook,
    "POST /v1/webhooks/{webhook_id}/redeliver": lambda w, send: send(
        "sme", f"/v1/webhooks/{w.webhook}/redeliver", json={"from_index": 1}
    ),
    "POST /v1/webhooks/{webhook_id}/pause": lambda w, send: send(
        "sme", f"/v1/webhooks/{w.webhook}/pause"
    ),
    "POST /v1/webhooks/{webhook_id}/resume": lambda w, send: send(
        "sme", f"/v1/webhooks/{w.webhook}/resume"
    ),
    "POST /v1/connections": lambda w, send: send("platform", "/v1/connections", json=CONNECTION),
    "GET /v1/connections": lambda w, send: send("platform", "/v1/connections?limit=1"),
    "GET /v1/connections/{connection_id}": lambda w, send: send(
        "platform", f"/v1/connections/{w.connection}"
    ),
    "PUT /v1/connections/{connection_id}": lambda w, send: send(
        "platform",
        f"/v1/connections/{_spare_connection(w)}",
        json={"name": "Renamed", "url": CONNECTION["url"] + "/v2"},
    ),
    "PUT /v1/connections/{connection_id}/credential": lambda w, send: send(
        "platform",
        f"/v1/connections/{_spare_connection(w)}/credential",
        json={"credential": CREDENTIAL},
    ),
    "DELETE /v1/connections/{connection_id}": lambda w, send: send(
        "platform", f"/v1/connections/{_spare_connection(w)}"
    ),
    "POST /v1/connections/{connection_id}/check": lambda w, send: send(
        "platform", f"/v1/connections/{w.connection}/check"
    ),
    "GET /v1/keys/master": lambda w, send: send("operator", "/v1/keys/master"),
    "POST /v1/keys/master/rotate": lambda w, send: send("operator", "/v1/keys/master/rotate"),
    "POST /v1/keys/master/retire": _retire,
    "POST /v1/holds": _hold,
    "GET /v1/holds": lambda w, send: send("sme", f"/v1/holds?target={w.grant_id}&open=true"),
    "GET /v1/holds/{hold_id}": lambda w, send: send("platform", f"/v1/holds/{w.hold}"),
    "POST /v1/holds/{hold_id}/lift": lambda w, send: _hold(w, send, then="/lift"),
    "GET /log/checkpoint": lambda w, send: send("nobody", "/log/checkpoint"),
    "GET /log/key": lambda w, send: send("nobody", "/log/key"),
    "GET /log/tile/entries/{path}": lambda w, send: send("auditor", "/log/tile/entries/000.p/3"),
    "GET /log/tile/{level}/{path}": lambda w, send: send("nobody", "/log/tile/0/000.p/3"),
    "GET /v1/log/entries": lambda w, send: send(
        "auditor", f"/v1/log/entries?start=1&limit=2&order=newest&organisation={org(w.sme)}"
    ),
    "GET /v1/log/export": lambda w, send: send("auditor", "/v1/log/export?format=csv"),
    "POST /v1/engagements": lambda w, send: send(
        "operator", "/v1/engagements", json=engagement(org(w.auditor), org(w.sme))
    ),
    "GET /v1/engagements": lambda w, send: send("auditor", "/v1/engagements?active=true&limit=1"),
    "GET /v1/engagements/{engagement_id}": lambda w, send: send(
        "auditor", f"/v1/engagements/{w.engagement}"
    ),
    "POST /v1/engagements/{engagement_id}/end": _give_up,
    "GET /v1/log/reads": lambda w, send: send("auditor", "/v1/log/reads?limit=2"),
    "GET /v1/receipts/{event_id}": lambda w, send: send(
        "sme", f"/v1/receipts/{w.answer['event_id']}"
    ),
    "GET /gateway/grants/{grant_id}": lambda w, send: send(
        "grant token", f"/gateway/grants/{w.grant_id}"
    ),
    "GET /gateway/grants/{grant_id}/files/{name}": lambda w, send: send(
        "grant token",
        f"/gateway/grants/{w.grant_id}/files/data.bin",
        headers={"Range": "bytes=3-9"},
    ),
    "HEAD /gateway/grants/{grant_id}/files/{name}": lambda w, send: send(
        "grant token", f"/gateway/grants/{w.grant_id}/files/data.bin"
    ),
    **{
        f"{method} /gateway/grants/{{grant_id}}/call/{{path}}": lambda w, send: send(
            "call token", f"/gateway/grants/{w.call_grant_id}/call/stats/a?by=carrier"
        )
        for method in METHODS
    },
    **TOKEN_KEYS,
}
