"""Every route of the server's own OpenAPI document: first a good answer, then malformed input.

Each generated request is sent as every role. `FUZZ_EXAMPLES` is how many are generated for an
operation; tests/campaigns/fuzz_routes.py asks for many, and for others each time.
"""

import os
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from exchange.client.profile import jwks_of, new_profile
from tests.support.actors import TERMS, engagement
from tests.support.good_clients import Invitations, key, spare_invitation
from tests.support.good_oauth import assertion_form
from tests.support.good_requests import GOOD, ORGANISATION, PERSON, org
from tests.support.good_uploads import upload
from tests.support.story import (
    CONNECTION,
    CREDENTIAL,
    DATABASES,
    ROLES,
    TOKENS,
    WEBHOOK,
    World,
    exchange_on,
    make_world,
)

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
CAMPAIGN = "FUZZ_EXAMPLES" in os.environ
CHECKS = [
    not_a_server_error,  # 503 among them: nothing here is away
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
OAUTH = ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par")
ELSEWHERE = ("urn:exchange:problem:route_unknown", "urn:exchange:problem:method_not_allowed")


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with exchange_on(request.param, tmp_path_factory.mktemp("routes")) as server:
        yield make_world(server)


@pytest.fixture(scope="module")
def operations(world: World) -> dict[str, Any]:
    """Every operation of the document that the server serves, by `METHOD path`."""
    document = httpx.get(world.server.url + "/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)  # tokens are sent by this file, a role at a time
    config = schemathesis.Config(seed=None if CAMPAIGN else 1)
    schema = schemathesis.openapi.from_dict(document, config=config)
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


# ---- one good answer of each operation ---------------------------------------------------------


def test_no_operation_is_left_out(operations: dict[str, Any]) -> None:
    assert set(operations) == set(GOOD)


@pytest.mark.parametrize("label", GOOD)
def test_a_good_answer(label: str, world: World, operations: dict[str, Any]) -> None:
    def send(role: str, path: str, *, method: str = label.split()[0], **options: Any):
        headers = world.role(role) | options.pop("headers", {})
        return httpx.request(method, world.server.url + path, headers=headers, **options)

    response = GOOD[label](world, send)
    assert response.is_success, response.text
    shown = {parameter.name: "…" for parameter in operations[label].path_parameters}
    case = operations[label].Case(path_parameters=shown)
    case.validate_response(response, checks=CHECKS)


# ---- malformed input, as each role -------------------------------------------------------------


def known(world: World, label: str) -> dict[str, list[str]]:
    """Path parameters that exist, so that generated requests get past the first look-up.

    What an operation uses up is a spare one.
    """
    offerings = [world.offering["id"], world.draft["id"]]
    if label.startswith("PUT") or label.endswith(("publish", "withdraw")):
        offerings = [world.spare_offering["id"], world.draft["id"]]
    spare = world.spare_answer["grant"]["id"]
    return {
        "org_id": [org(world.platform), org(world.sme), org(world.rival)],
        "client_id": [world.spare_client],
        "member_id": [world.spare_member],
        "thumbprint": ["0" * 43],
        "invitation_id": [spare_invitation(world)] if "invitation_id" in label else [],
        "offering_id": offerings,
        "request_id": [world.waiting["id"], world.answer["id"], world.denied["id"]],
        "grant_id": [world.call_grant_id]
        if "/call/" in label
        else [spare]
        if label.endswith(("revoke", "renew"))
        else [world.grant_id],
        "hold_id": [world.hold],
        "engagement_id": [world.spare_engagement],
        "event_id": [world.answer["event_id"], world.denied["event_id"]],
        "webhook_id": [world.spare_webhook if label.startswith("DELETE") else world.webhook],
        "connection_id": [
            world.spare_connection if label.startswith(("PUT", "DELETE")) else world.connection
        ],
        "upload_id": [upload(world)] if "upload_id" in label else [],
        "level": ["0"],
        "version": [1, 2],
        "path": ["stats/a", "x"] if "/call/" in label else ["000.p/1"],
        "name": ["headcount" if "attributes" in label else "data.bin"],
    }


def good_body(world: World, label: str) -> dict[str, Any]:
    """A body that is accepted, for members of generated ones to be put into."""
    asked = {"offering_id": world.offering["id"], "purpose": "logistics_planning", "days": 5}
    return {
        "POST /v1/organisations": ORGANISATION,
        "PUT /v1/organisations/{org_id}/attributes/{name}": {"value": 7},
        "POST /v1/organisations/{org_id}/clients": {"name": "n", "jwks": jwks_of(new_profile(""))},
        "POST /oauth/register": {"jwks": jwks_of(new_profile(""))},
        "POST /v1/clients/{client_id}/keys": {"jwk": key()},
        "POST /v1/organisations/{org_id}/client-invitations": {"days": 1},
        "POST /v1/organisations/{org_id}/members": PERSON,
        "PUT /v1/members/{member_id}": {"roles": ["developer"]},
        "POST /v1/invitations/accept": {"invitation": "0" * 43, "jwks": jwks_of(new_profile(""))},
        "POST /v1/uploads": {"name": "fuzz.csv", "bytes": 3},
        "POST /v1/offerings": TERMS,
        "PUT /v1/offerings/{offering_id}": TERMS,
        "POST /v1/access-requests": asked,
        "POST /v1/grants/{grant_id}/revoke": {"reason": "other"},
        "POST /v1/webhooks": WEBHOOK,
        "POST /v1/webhooks/{webhook_id}/redeliver": {"from_index": 1},
        "POST /v1/connections": CONNECTION,
        "PUT /v1/connections/{connection_id}": {"name": "n", "url": CONNECTION["url"]},
        "PUT /v1/connections/{connection_id}/credential": {"credential": CREDENTIAL},
        "POST /v1/grants/{grant_id}/renew": {"days": 5},
        "POST /v1/policy/explain": asked,
        "POST /v1/access-requests/{request_id}/ask": {"text": "Why?"},
        "POST /v1/engagements": engagement(org(world.auditor), org(world.sme)),
        "POST /v1/holds": {"target": world.spare_answer["grant"]["id"], "reason": "other"},
    }.get(label, {})


@st.composite
def cases(draw: st.DrawFn, operation: Any, ids: dict[str, list[str]], body: dict[str, Any]) -> Any:
    """A request that fits the document or does not, mostly about what exists and nearly right."""
    inputs = (operation.path_parameters, operation.body, operation.query, operation.headers)
    path = {each.name: draw(st.sampled_from(ids[each.name])) for each in operation.path_parameters}
    if not draw(st.sampled_from([True, True, True, False])):
        path = {}
    fits = not any(inputs[1:] if path else inputs) or draw(st.booleans())
    mode = GenerationMode.POSITIVE if fits else GenerationMode.NEGATIVE
    case = draw(operation.as_strategy(mode, path_parameters=path or None))
    if body and isinstance(case.body, dict) and draw(st.booleans()):
        members = sorted(case.body, key=repr)
        taken = draw(st.lists(st.sampled_from(members), max_size=1)) if members else []
        case.body = {**body, **{name: case.body[name] for name in taken}}
        case.media_type = "application/json"
    return case


@pytest.mark.parametrize("label", GOOD)
def test_malformed_input_as_each_role(label: str, world: World, operations: dict[str, Any]) -> None:
    operation, session = operations[label], requests.Session()
    invitations = Invitations(world)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=not CAMPAIGN,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(operation, known(world, label), good_body(world, label)))
    def run(case: Any) -> None:
        if label.endswith("/events"):  # a stream that lives for a minute would be waited for
            case.query = {**(case.query or {}), "seconds": 0}
        for role in ROLES:
            headers = world.role(role)
            if case.path in OAUTH and role not in ("nobody", *TOKENS):
                headers = {}
                if isinstance(case.body, dict):
                    case.body = {**case.body, **assertion_form(getattr(world, role))}
            if case.path == "/oauth/register" and role == "operator":
                headers = invitations.headers()
            judge(case, case.call(base_url=world.server.url, session=session, headers=headers))

    run()


def judge(case: Any, response: Any) -> None:
    """No server error, nothing that the document does not say, problem documents for errors."""
    kind = response.headers["content-type"][0] if "content-type" in response.headers else ""
    is_problem = kind == "application/problem+json"
    if response.status_code >= 400 and case.method != "HEAD":
        if case.path in (*OAUTH, "/oauth/register") and not is_problem:
            assert {"error", "error_description"} <= response.json().keys()
        else:
            assert is_problem, (response.status_code, kind)
            document = response.json()
            assert document["status"] == response.status_code
            assert document["request_id"] == response.headers["x-request-id"][0]
            if document["type"] in ELSEWHERE:
                return  # a path parameter led to another route
    case.validate_response(response, checks=CHECKS)
