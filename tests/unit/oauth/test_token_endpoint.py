"""The token endpoint over HTTP: what it gives, to whom, and what it says when it does not."""

import asyncio
import logging

import pytest
from joserfc import jwk, jwt

from exchange.clock import now_ms
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.participants.store import CLIENTS, ORGANISATIONS
from tests.unit.oauth.world import ISSUER, World, claims_of

SME_SCOPES = ["catalog", "grants", "participants", "requests"]


async def test_a_token_without_a_scope_has_all_that_the_roles_allow(world):
    answer = await world.post()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 300
    assert body["scope"].split() == SME_SCOPES
    # RFC 9068 section 2.2, read by another implementation.
    token = jwt.decode(body["access_token"], jwk.KeySet.import_key_set(world.keys.jwks))
    assert token.header == {
        "alg": "ES256",
        "typ": "at+jwt",
        "kid": world.keys.jwks["keys"][0]["kid"],
    }
    claims = token.claims
    assert claims.keys() == {
        *("iss", "sub", "client_id", "aud", "exp", "iat", "jti", "org_id", "scope"),
        "client_key",
    }
    assert claims["iss"] == claims["aud"] == ISSUER
    assert claims["sub"] == claims["client_id"] == world.client_id
    assert claims["org_id"] == world.org_id
    assert claims["exp"] - claims["iat"] == 300
    assert abs(claims["iat"] * 1000 - now_ms()) < 5000


async def test_tokens_are_never_alike(world):
    first, second = (await world.post()).json(), (await world.post()).json()
    assert claims_of(first["access_token"])["jti"] != claims_of(second["access_token"])["jti"]


async def test_less_may_be_asked_for_and_is_all_that_is_given(world):
    body = (await world.post(scope="catalog")).json()
    assert body["scope"] == claims_of(body["access_token"])["scope"] == "catalog"
    me = await world.me(body["access_token"])
    assert me.json() == {"client_id": world.client_id, "scopes": ["catalog"]}
    other = (await world.post(scope="requests")).json()["access_token"]
    assert (await world.me(other)).status_code == 403


@pytest.mark.parametrize(
    "scope",
    ["operate", "catalog operate", "nonsense", "catalog  grants", " catalog", "grant:", "ü"],
)
async def test_a_scope_that_the_roles_do_not_allow_is_refused_whole(world, scope):
    answer = await world.post(scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


async def test_an_organisation_without_roles_gets_no_token(world):
    client = await world.add_client(await world.add_organisation(), public_jwks(world.client_key))
    answer = await world.post(world.assertion(iss=client, sub=client))
    assert answer.json()["error"] == "invalid_scope"


async def test_every_algorithm_of_the_list_authenticates(world):
    ed25519 = jwk.OKPKey.generate_key("Ed25519").as_dict(private=True)
    rsa = jwk.RSAKey.generate_key(2048).as_dict(private=True)
    cases = [
        (generate_client_key(), "ES256"),
        (ed25519, "EdDSA"),
        (ed25519, "Ed25519"),
        (rsa, "PS256"),
    ]
    for key, algorithm in cases:
        client = await world.add_client(world.org_id, public_jwks(key))
        # One key, so a kid is not needed.
        made = world.assertion(header={"alg": algorithm}, key=key, iss=client, sub=client)
        assert (await world.post(made)).status_code == 200, algorithm


async def test_with_two_keys_the_kid_says_which(world):
    keys = [generate_client_key(), generate_client_key()]
    jwks = {"keys": [public_jwks(key)["keys"][0] for key in keys]}
    client = await world.add_client(world.org_id, jwks)
    for signer in keys:
        named = {"alg": "ES256", "kid": signer["kid"]}
        made = world.assertion(header=named, key=signer, iss=client, sub=client)
        assert (await world.post(made)).status_code == 200
        unnamed = world.assertion(header={"alg": "ES256"}, key=signer, iss=client, sub=client)
        assert (await world.post(unnamed)).json()["error"] == "invalid_client"


async def test_no_token_when_the_ledger_takes_no_writes(tmp_path):
    world = World(tmp_path)
    await world.settle()
    world.close()
    answer = await world.post()
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "access_token" not in answer.text


async def test_a_client_disabled_elsewhere_is_refused_although_it_is_cached(world):
    assert (await world.post()).status_code == 200
    await world.change(CLIENTS, world.client_id, 1, status="disabled")
    answer = await world.post()
    assert answer.json() == {
        "error": "invalid_client",
        "error_description": "This client is disabled.",
    }


async def test_a_key_or_role_added_elsewhere_works_at_once(world):
    assert (await world.post()).status_code == 200  # now everything is cached
    newer = generate_client_key()
    await world.change(CLIENTS, world.client_id, 1, jwks=public_jwks(newer))
    made = world.assertion(header={"alg": "ES256", "kid": newer["kid"]}, key=newer)
    assert (await world.post(made)).status_code == 200
    await world.change(ORGANISATIONS, world.org_id, 1, roles=["sme", "auditor"])
    made = world.assertion(header={"alg": "ES256", "kid": newer["kid"]}, key=newer)
    assert (await world.post(made, scope="log")).status_code == 200


async def test_many_at_once_each_get_their_own_token(world):
    answers = await asyncio.gather(*(world.post() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["access_token"] for answer in answers}) == 20


async def test_no_token_is_ever_logged(world, caplog):
    with caplog.at_level(logging.DEBUG):
        made = world.assertion()
        token = (await world.post(made)).json()["access_token"]
    assert token not in caplog.text
    assert made not in caplog.text


async def test_metadata_and_keys_are_for_caches_and_tokens_are_not(world):
    async with world.http() as http:
        document = await http.get("/.well-known/oauth-authorization-server")
        jwks = await http.get("/oauth/jwks")
    assert document.json()["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert document.json()["jwks_uri"] == f"{ISSUER}/oauth/jwks"
    assert jwks.json() == world.keys.jwks
    assert not {"d", "p", "q"} & set(jwks.json()["keys"][0])
    assert "max-age" in document.headers["cache-control"]
    assert "max-age" in jwks.headers["cache-control"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_get_a_problem(world, method):
    async with world.http() as http:
        answer = await http.request(method, "/oauth/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:exchange:problem:method_not_allowed"


def test_the_form_is_described_with_an_example(world):
    operation = world.app.openapi()["paths"]["/oauth/token"]["post"]
    schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert schema["example"].keys() <= schema["properties"].keys()
    assert {"200", "400", "401", "503"} <= operation["responses"].keys()
