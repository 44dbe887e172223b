"""openid-client, unmodified, finds the server, asks, is refused, waits, and is stopped."""

import json

import pytest

from exchange.formats.tokens import public_jwks
from tests.support.actors import member, publish
from tests.support.foreign import details, new_key, openid_client, registered

pytestmark = pytest.mark.foreign


@pytest.fixture
def client():
    with openid_client() as running:
        yield running


def discover(client, server, by, org_id, alg="ES256", dpop_alg="ES256", **how):
    key = new_key(alg)
    given = {"issuer": server.url, "alg": alg, "key": key, "dpop_alg": dpop_alg}
    client_id = registered(by, org_id, key, **how)["id"]
    return client.done("discover", client_id=client_id, **given)


@pytest.mark.parametrize(
    ("alg", "dpop_alg"), [("ES256", "PS256"), ("PS256", "Ed25519"), ("Ed25519", "ES256")]
)
def test_it_gets_a_token_and_uses_it(server, by, platform, org_id, client, alg, dpop_alg):
    offering = publish(platform, file_name=f"{alg}-{dpop_alg}.bin".lower())
    found = discover(client, server, by, org_id, alg, dpop_alg)
    assert found["token_endpoint"] == f"{server.url}/oauth/token"

    api = client.done("token", parameters={"scope": "catalog", "resource": server.url})
    assert (api["token_type"], api["scope"], api["expires_in"]) == ("dpop", "catalog", 300)
    url = f"{server.url}/v1/offerings"
    shown = client.done("show", token=api["access_token"], url=url)
    assert shown["status"] == 200, shown
    assert offering["id"] in shown["text"]

    asked = {"authorization_details": details(offering)}
    granted = client.done("token", parameters=asked)
    assert granted["token_type"] == "dpop"
    assert granted["receipt"]
    [told] = granted["authorization_details"]
    assert (told["type"], told["actions"]) == ("dataset", ["read"])
    file = f"{server.url}/gateway/grants/{granted['grant_id']}/files/{alg}-{dpop_alg}.bin".lower()
    got = client.done("show", token=granted["access_token"], url=file)
    assert (got["status"], got["text"]) == (200, "0123456789" * 1000)


def test_a_denial_says_why_and_what_would_help(server, by, platform, org_id, client):
    offering = publish(platform, file_name="denied.bin")
    discover(client, server, by, org_id)
    asked = {"authorization_details": details(offering, days=400)}
    failed = client.failed("token", parameters=asked)
    assert (failed["name"], failed["error"]) == ("ResponseBodyError", "access_denied")
    assert [each["code"] for each in failed["body"]["reasons"]] == ["duration_too_long"]
    assert "90" in failed["body"]["remedies"][0]["text"]
    followed = {"authorization_details": details(offering, days=90)}
    assert client.done("token", parameters=followed)["grant_id"]


def test_it_waits_is_approved_and_is_stopped_by_a_revocation(server, by, platform, org_id, client):
    offering = publish(platform, file_name="waits.bin", approval="provider")
    approver = member(by, platform, "Anna", ["approver"])
    discover(client, server, by, org_id)
    asked = {"authorization_details": details(offering)}
    waits = [client.failed("token", parameters=asked) for _ in range(2)]
    assert {each["error"] for each in waits} == {"authorization_pending"}
    [request] = {each["body"]["access_request"] for each in waits}
    assert waits[0]["body"]["interval"] > 0

    approver.post(f"/v1/access-requests/{request}/approve", {})
    token = client.done("token", parameters=asked)
    grant = token["grant_id"]
    file = f"{server.url}/gateway/grants/{grant}/files/waits.bin"
    shown = {"token": token["access_token"], "url": file}
    assert client.done("show", **shown)["status"] == 200

    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other", "text": "Sold."})
    after = client.done("show", **shown)
    assert after["status"] == 403
    assert json.loads(after["text"])["type"] == "urn:exchange:problem:grant_revoked"
    scope = {"scope": f"grant:{grant}"}
    assert client.failed("token", parameters=scope)["error"] == "access_denied"


def test_it_introspects_and_revokes_a_token(server, by, org_id, client):
    discover(client, server, by, org_id)
    token = client.done("token", parameters={"scope": "catalog"})["access_token"]
    told = client.done("introspect", token=token)
    assert (told["active"], told["scope"], told["iss"]) == (True, "catalog", server.url)
    url = f"{server.url}/v1/offerings"
    assert client.done("show", token=token, url=url)["status"] == 200
    client.done("revoke", token=token)
    assert client.done("introspect", token=token) == {"active": False}
    assert "failed" in client.do("show", token=token, url=url)


def test_it_registers_by_an_invitation_and_waits_for_the_operator(server, by, org_id, client):
    key = new_key("ES256")
    invited = by.post(f"/v1/organisations/{org_id}/client-invitations", {})
    metadata = {"client_name": "Theirs", "jwks": public_jwks(key)}
    metadata |= {"dpop_bound_access_tokens": False}
    given = {"issuer": server.url, "key": key, "alg": "ES256", "metadata": metadata}
    made = client.done("register", invitation=invited["initial_access_token"], **given)
    failed = client.failed("token", parameters={"scope": "catalog"})
    assert failed["error"] == "invalid_client"
    by.post(f"/v1/clients/{made['client_id']}/approve")
    assert client.done("token", parameters={"scope": "catalog"})["scope"] == "catalog"
    again = client.failed("register", invitation=invited["initial_access_token"], **given)
    assert again["status"] == 401
