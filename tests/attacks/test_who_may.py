"""Who may do what: the good request of each operation, sent by everybody."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.good_requests import GOOD
from tests.support.server import ExchangeServer
from tests.support.story import World, make_world

MEMBERS = {"operator", "platform", "approver", "rival", "sme", "auditor"}
EVERYBODY = {*MEMBERS, "nobody", "grant token"}
WHO_MAY = {
    "GET /": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "POST /oauth/token": {"nobody"},  # with an Authorization header it is another way to prove it
    "GET /.well-known/oauth-authorization-server": EVERYBODY,
    "GET /oauth/jwks": EVERYBODY,
    "POST /v1/organisations": {"operator"},
    "GET /v1/organisations": MEMBERS,
    "GET /v1/organisations/{org_id}": {"operator", "auditor", "sme"},
    "PUT /v1/organisations/{org_id}/attributes/{name}": {"operator"},
    "POST /v1/organisations/{org_id}/clients": {"operator", "sme"},
    "GET /v1/organisations/{org_id}/clients": {"operator", "auditor", "sme"},
    "POST /v1/clients/{client_id}/disable": {"operator", "sme"},
    "POST /v1/organisations/{org_id}/members": {"operator"},  # these are programs, no people
    "GET /v1/organisations/{org_id}/members": {"operator", "auditor", "sme"},
    "GET /v1/members/{member_id}": {"operator", "auditor", "sme"},
    "PUT /v1/members/{member_id}": {"operator"},
    "POST /v1/members/{member_id}/remove": {"operator"},
    "POST /v1/invitations/accept": EVERYBODY,  # whoever holds the invitation
    "GET /v1/me": MEMBERS,
    "PUT /v1/files/{name}": {"platform", "rival"},  # each among its own
    "POST /v1/offerings": {"platform", "rival"},
    "GET /v1/offerings": MEMBERS,
    "GET /v1/offerings/{offering_id}": MEMBERS,
    "GET /v1/offerings/facets": MEMBERS,
    "GET /v1/offerings/{offering_id}/versions": MEMBERS,
    "GET /v1/offerings/{offering_id}/versions/{version}": MEMBERS,
    "PUT /v1/offerings/{offering_id}": {"platform"},
    "GET /v1/offerings/{offering_id}/schema": MEMBERS,
    "GET /v1/offerings/{offering_id}/sample": MEMBERS,
    "GET /v1/offerings/{offering_id}/dcat": MEMBERS,
    "GET /v1/catalog/dcat": MEMBERS,
    "POST /v1/offerings/{offering_id}/publish": {"platform"},
    "POST /v1/offerings/{offering_id}/withdraw": {"platform"},
    "POST /v1/access-requests": {"sme"},
    "GET /v1/access-requests": MEMBERS,
    "GET /v1/access-requests/{request_id}": MEMBERS - {"rival"},
    "GET /v1/access-requests/{request_id}/steps": MEMBERS - {"rival"},
    "POST /v1/access-requests/{request_id}/approve": {"approver"},
    "POST /v1/access-requests/{request_id}/reject": {"approver"},
    "POST /v1/access-requests/{request_id}/ask": {"approver"},
    "POST /v1/access-requests/{request_id}/answer": {"sme"},
    "POST /v1/access-requests/{request_id}/comment": {"sme", "approver"},
    "POST /v1/access-requests/{request_id}/withdraw": {"sme"},
    "POST /v1/access-requests/{request_id}/appeal": {"sme"},
    "POST /v1/policy/explain": {"sme"},
    "POST /v1/grants/{grant_id}/renew": {"sme"},
    "GET /v1/grants": MEMBERS,
    "GET /v1/grants/{grant_id}": MEMBERS - {"rival"},
    "POST /v1/webhooks": MEMBERS - {"approver"},
    "GET /v1/webhooks": MEMBERS,
    "GET /v1/webhooks/{webhook_id}": {"sme"},
    "DELETE /v1/webhooks/{webhook_id}": {"sme"},
    "POST /v1/webhooks/{webhook_id}/redeliver": {"sme"},
    "POST /v1/webhooks/{webhook_id}/pause": {"sme"},
    "POST /v1/webhooks/{webhook_id}/resume": {"sme"},
    "POST /v1/grants/{grant_id}/revoke": {"operator", "platform", "approver"},
    "POST /v1/holds": {"operator", "platform", "approver"},
    "GET /v1/holds": MEMBERS,
    "GET /v1/holds/{hold_id}": MEMBERS - {"rival"},
    "POST /v1/holds/{hold_id}/lift": {"operator", "platform", "approver"},
    "GET /log/checkpoint": EVERYBODY,
    "GET /log/key": EVERYBODY,
    "GET /log/tile/entries/{path}": {"operator", "auditor"},
    "GET /log/tile/{level}/{path}": EVERYBODY,
    "GET /v1/log/entries": {"operator", "auditor"},
    "GET /v1/log/export": {"operator", "auditor"},
    "GET /v1/receipts/{event_id}": MEMBERS - {"rival"},
    "GET /gateway/grants/{grant_id}": {"grant token"},
    "GET /gateway/grants/{grant_id}/files/{name}": {"grant token"},
    "HEAD /gateway/grants/{grant_id}/files/{name}": {"grant token"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExchangeServer(tmp_path_factory.mktemp("who") / "state") as server:
        yield make_world(server)


@pytest.mark.parametrize("label", GOOD)
def test_who_may(label: str, world: World) -> None:
    """The good request of another is refused to everybody whom the table does not name."""
    for role in sorted(EVERYBODY):

        def send(_role: str, path: str, role: str = role, **options: Any) -> httpx.Response:
            headers = world.role(role) | options.pop("headers", {})
            return httpx.request(
                label.split()[0], world.server.url + path, headers=headers, **options
            )

        response = GOOD[label](world, send)
        if role in WHO_MAY[label]:
            assert response.is_success, (role, response.text)
        else:
            assert response.status_code in (401, 403, 404), (role, response.status_code)
