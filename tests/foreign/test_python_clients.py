"""requests-oauth2client and Authlib's client, unmodified, as far as each of them goes."""

import json

import pytest

from tests.support.actors import member, publish
from tests.support.foreign import KEYS, details, new_key, python_client, registered

pytestmark = pytest.mark.foreign


def discover(client, server, by, org_id, alg="ES256", **more):
    key = new_key(alg)
    # Both sign with the name that the RFCs gave Ed25519 first.
    given = {"issuer": server.url, "alg": "EdDSA" if alg == "Ed25519" else alg, "key": key}
    bound = {"dpop_bound_access_tokens": "dpop_alg" in more}
    client_id = registered(by, org_id, key, **bound)["id"]
    return client.done("discover", client_id=client_id, **given, **more)


def file_of(server, grant, offering):
    return f"{server.url}/gateway/grants/{grant}/files/{offering['source']['path']}"


def walk(client, server, by, platform, name):
    """Be denied, ask and fetch, wait and be approved, be stopped by a revocation.

    Returns how the denial and the waiting were told.
    """
    offering = publish(platform, file_name=f"{name}.bin")
    too_long = {"authorization_details": details(offering, days=400)}
    denied = client.failed("token", parameters=too_long)
    assert denied["error"] == "access_denied"
    granted = client.done("token", parameters={"authorization_details": details(offering)})
    assert granted["receipt"]
    got = client.done("show", url=file_of(server, granted["grant_id"], offering))
    assert (got["status"], got["text"]) == (200, "0123456789" * 1000)

    approved = publish(platform, file_name=f"{name}-waits.bin", approval="provider")
    approver = member(by, platform, f"Anna {name}", ["approver"])
    asked = {"authorization_details": details(approved)}
    waits = client.failed("token", parameters=asked)
    assert client.failed("token", parameters=asked)["error"] == "authorization_pending"
    [request] = approver.pages("/v1/access-requests", waiting_for="provider")
    approver.post(f"/v1/access-requests/{request['id']}/approve", {})
    grant = client.done("token", parameters=asked)["grant_id"]
    file = file_of(server, grant, approved)
    assert client.done("show", url=file)["status"] == 200

    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other", "text": "Sold."})
    after = client.done("show", url=file)
    assert after["status"] == 403
    assert json.loads(after["text"])["type"] == "urn:exchange:problem:grant_revoked"
    return denied, waits


@pytest.mark.parametrize(
    ("alg", "dpop_alg"), [("ES256", "PS256"), ("PS256", "EdDSA"), ("Ed25519", "ES256")]
)
def test_requests_oauth2client(server, by, platform, org_id, alg, dpop_alg):
    with python_client("with_requests_oauth2client.py") as client:
        found = discover(client, server, by, org_id, alg, dpop_alg=dpop_alg)
        assert found["token_endpoint"] == f"{server.url}/oauth/token"
        api = client.done("token", parameters={"scope": "catalog"})
        assert (api["token_type"], api["scope"]) == ("DPoP", "catalog")
        assert client.done("show", url=f"{server.url}/v1/offerings")["status"] == 200
        denied, waits = walk(client, server, by, platform, f"rs-{alg}".lower())
    assert denied["name"] == "AccessDenied"
    assert [each["code"] for each in denied["body"]["reasons"]] == ["duration_too_long"]
    assert waits["name"] == "AuthorizationPending"
    assert waits["body"]["interval"] > 0


def test_authlib_with_keys(server, by, platform, org_id):
    """Without DPoP; of a refusal it keeps the code and the words, not the reasons."""
    with python_client("with_authlib.py") as client:
        for alg in KEYS:
            assert discover(client, server, by, org_id, alg)["issuer"] == server.url
            api = client.done("token", parameters={"scope": "catalog"})
            assert (api["token_type"], api["scope"]) == ("Bearer", "catalog")
            assert client.done("show", url=f"{server.url}/v1/offerings")["status"] == 200
        denied, waits = walk(client, server, by, platform, "authlib")
    assert denied["name"] == waits["name"] == "OAuthError"
    assert "90" in denied["description"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_with_a_secret(server, by, org_id, method):
    """Only where the operator registered the client so, and only in that way."""
    made = registered(by, org_id, None, token_endpoint_auth_method=method)
    given = {"issuer": server.url, "client_id": made["id"], "secret": made["client_secret"]}
    other = "client_secret_post" if method == "client_secret_basic" else "client_secret_basic"
    with python_client("with_authlib.py") as client:
        client.done("discover", method=method, **given)
        assert client.done("token", parameters={"scope": "catalog"})["scope"] == "catalog"
        assert client.done("show", url=f"{server.url}/v1/offerings")["status"] == 200
        client.done("discover", method=other, **given)
        failed = client.failed("token", parameters={"scope": "catalog"})
        assert failed["error"] == "invalid_client"
