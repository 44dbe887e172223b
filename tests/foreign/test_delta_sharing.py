"""delta-sharing's client, unmodified: its token requests, by a secret and by a private key.

A profile is for one grant, since a scope is all that it can say: `grant:GRANT_ID`.
"""

import json

import pytest
from joserfc import jwk

from tests.support.actors import publish
from tests.support.foreign import details, new_key, openid_client, python_client, registered

pytestmark = pytest.mark.foreign


@pytest.fixture(scope="module")
def client():
    with python_client("with_delta_sharing.py") as running:
        yield running


@pytest.fixture(scope="module")
def offering(platform):
    return publish(platform, file_name="shared.bin")


def grant_to(server, offering, **how):
    """Have the client ask for access by itself, with what it is registered by."""
    with openid_client() as asking:
        asking.done("discover", issuer=server.url, **how)
        asked = {"authorization_details": details(offering)}
        return asking.done("token", parameters=asked)["grant_id"]


def file_of(server, grant):
    return f"{server.url}/gateway/grants/{grant}/files/shared.bin"


def version_2(server, kind, **more):
    return {
        "shareCredentialsVersion": 2,
        "endpoint": f"{server.url}/gateway",
        "type": kind,
        **more,
    }


def by_secret(server, made, scope):
    return version_2(
        server,
        "oauth_client_credentials",
        tokenEndpoint=f"{server.url}/oauth/token",
        clientId=made["id"],
        clientSecret=made["client_secret"],
        scope=scope,
    )


def by_key(server, client_id, key, folder, alg, scope, audience=None):
    pem = folder / "key.pem"
    pem.write_bytes(jwk.import_key(key).as_pem(private=True))
    signs = {"privateKeyFile": str(pem), "keyId": key["kid"], "algorithm": alg}
    auth = {
        "tokenEndpoint": f"{server.url}/oauth/token",
        "issuer": server.url,
        "clientId": client_id,
        "audience": audience,
        "privateKey": signs,
        "scope": scope,
    }
    return version_2(server, "oauth_jwt_bearer_private_key_jwt", auth=auth)


def test_by_a_secret(server, by, platform, org_id, client, offering):
    """Basic, and a scope with a colon or a space that it does not encode."""
    made = registered(by, org_id, None, token_endpoint_auth_method="client_secret_basic")
    how = {"client_id": made["id"], "secret": made["client_secret"], "method": "ClientSecretBasic"}
    grant = grant_to(server, offering, **how)
    client.done("profile", document=by_secret(server, made, f"grant:{grant}"))
    for _ in range(2):
        got = client.done("show", url=file_of(server, grant))
        assert (got["status"], got["text"]) == (200, "0123456789" * 1000)
    client.done("profile", document=by_secret(server, made, "catalog requests"))
    assert client.done("show", url=f"{server.url}/v1/offerings")["status"] == 200

    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other", "text": "Sold."})
    client.done("profile", document=by_secret(server, made, f"grant:{grant}"))
    failed = client.failed("show", url=file_of(server, grant))
    assert (failed["status"], failed["body"]["error"]) == (400, "access_denied")


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_by_a_private_key(server, by, org_id, client, offering, tmp_path, alg):
    """Its JWT without `sub` is the whole request, for a client that is registered so."""
    key = new_key("Ed25519" if alg == "EdDSA" else alg)
    how = {"token_endpoint_auth_method": "jwt_bearer"}
    client_id = registered(by, org_id, key, **how)["id"]
    of_key = by_key(server, client_id, key, tmp_path, alg, "catalog requests", server.url)
    assert client.done("profile", document=of_key)["type"] == of_key["type"]
    asked = {"offering_id": offering["id"], "purpose": "logistics_planning", "days": 30}
    requests = f"{server.url}/v1/access-requests"
    answer = client.done("show", url=requests, method="POST", body=asked)
    grant = json.loads(answer["text"])["grant"]["id"]

    scope, gateway = f"grant:{grant}", f"{server.url}/gateway"
    of_grant = by_key(server, client_id, key, tmp_path, alg, scope, gateway)
    client.done("profile", document=of_grant)
    for _ in range(2):
        got = client.done("show", url=file_of(server, grant))
        assert (got["status"], got["text"]) == (200, "0123456789" * 1000)


def test_no_other_client_may(server, by, org_id, client, tmp_path):
    """Nor may any sign by RS256, which is what the profile's default is."""
    key = new_key("PS256")
    plain = registered(by, org_id, key)["id"]
    client.done("profile", document=by_key(server, plain, key, tmp_path, "PS256", "catalog"))
    failed = client.failed("show", url=f"{server.url}/v1/offerings")
    assert (failed["status"], failed["body"]["error"]) == (400, "invalid_grant")
    theirs = registered(by, org_id, key, token_endpoint_auth_method="jwt_bearer")["id"]
    client.done("profile", document=by_key(server, theirs, key, tmp_path, None, "catalog"))
    failed = client.failed("show", url=f"{server.url}/v1/offerings")
    assert "ES256" in failed["body"]["error_description"]
