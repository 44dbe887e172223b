"""Authlib's own client, unmodified, finds the server by its metadata and gets tokens."""

import time
import warnings

import httpx
import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk

from exchange.formats.tokens import public_jwks
from tests.unit.oauth.world import ISSUER, claims_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx2
    from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError


def client_of(world, client_id, key, algorithm, issuer, **claims):
    made = AsyncOAuth2Client(
        client_id,
        key,
        token_endpoint_auth_method="private_key_jwt",
        transport=httpx.ASGITransport(world.app),
    )
    # Its assertions live an hour and name the token endpoint, unless told otherwise.
    claims = {"exp": int(time.time()) + 60, **claims}
    made.register_client_auth_method(PrivateKeyJWT(issuer, claims=claims, alg=algorithm))
    return made


async def discover(world):
    async with world.http() as http:
        return (await http.get("/.well-known/oauth-authorization-server")).json()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (jwk.ECKey.generate_key("P-256"), "ES256"),
        (jwk.OKPKey.generate_key("Ed25519"), "EdDSA"),
        (jwk.RSAKey.generate_key(2048), "PS256"),
    ],
)
async def test_it_gets_a_token_and_calls_a_route(world, key, algorithm):
    client_id = await world.add_client(world.org_id, public_jwks(key.as_dict(private=True)))
    metadata = await discover(world)
    async with client_of(world, client_id, key, algorithm, metadata["issuer"]) as client:
        token = await client.fetch_token(
            metadata["token_endpoint"], grant_type="client_credentials", scope="catalog"
        )
        assert token["scope"] == "catalog"
        assert token["expires_in"] == 300
        answer = await client.get(f"{ISSUER}/v1/me")
    assert answer.json() == {"client_id": client_id, "scopes": ["catalog"]}
    assert claims_of(token["access_token"])["iss"] == ISSUER


async def test_it_understands_our_errors(world):
    key = jwk.ECKey.generate_key("P-256")
    client_id = await world.add_client(world.org_id, public_jwks(key.as_dict(private=True)))
    metadata = await discover(world)
    url = metadata["token_endpoint"]
    async with client_of(world, client_id, key, "ES256", ISSUER) as client:
        with pytest.raises(OAuthError, match="invalid_scope: The scopes that your roles allow"):
            await client.fetch_token(url, grant_type="client_credentials", scope="operate")
        with pytest.raises(OAuthError, match="unsupported_grant_type"):
            await client.fetch_token(url, grant_type="password", username="u", password="p")
    # Left to its defaults it names the token endpoint, which the profile does not take.
    async with client_of(world, client_id, key, "ES256", None) as client:
        with pytest.raises(OAuthError, match="invalid_client: aud must be"):
            await client.fetch_token(url, grant_type="client_credentials")


async def test_its_shared_claims_are_caught_as_a_replay(world):
    """Authlib's client writes its first jti into the claims that it was given, and reuses it."""
    key = jwk.ECKey.generate_key("P-256")
    client_id = await world.add_client(world.org_id, public_jwks(key.as_dict(private=True)))
    url = (await discover(world))["token_endpoint"]
    async with client_of(world, client_id, key, "ES256", ISSUER, jti="once") as client:
        await client.fetch_token(url, grant_type="client_credentials")
        with pytest.raises(OAuthError, match="used before"):
            await client.fetch_token(url, grant_type="client_credentials")
