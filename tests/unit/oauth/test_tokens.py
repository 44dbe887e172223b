"""Revocation, introspection, pushed requests, the metadata of resources: over HTTP."""

import pytest
from joserfc import jwk, jwt

from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.oauth.introspect import MEDIA_TYPE
from exchange.oauth.model import Standing
from exchange.oauth.resource_metadata import resource_documents
from exchange.oauth.revoke import RevokedTokens
from exchange.participants.store import CLIENTS
from exchange.settings import Settings
from tests.unit.oauth.test_grant_tokens import a_grant
from tests.unit.oauth.world import ISSUER, claims_of, refused


async def send(world, path, client=None, key=None, accept=None, **form):
    """A request of a client that proves itself; without one, the ordinary client's."""
    header = {"alg": "ES256", "kid": (key or world.client_key)["kid"]}
    name = client or world.client_id
    made = world.assertion(header=header, key=key, iss=name, sub=name)
    sent = {name: value for name, value in world.form(made, **form).items() if name != "grant_type"}
    async with world.http() as http:
        return await http.post(path, data=sent, headers={"Accept": accept} if accept else {})


async def token_of(world, **form):
    return (await world.post(**form)).json()["access_token"]


async def stranger(world, *roles):
    key = generate_client_key()
    return await world.add_client(await world.add_organisation(*roles), public_jwks(key)), key


# -- Revocation (RFC 7009) --------------------------------------------------------------------


async def test_a_token_that_its_client_gives_up_is_refused_at_once(world):
    token, other = await token_of(world), await token_of(world)
    assert (await world.me(token)).status_code == 200
    answer = await send(world, "/oauth/revoke", token=token)
    assert (answer.status_code, answer.json()) == (200, {})
    gone = await world.me(token)
    assert (gone.status_code, gone.json()["type"][-13:]) == (401, "token_revoked")
    assert (await world.me(other)).status_code == 200
    assert (await send(world, "/oauth/revoke", token=token)).status_code == 200  # again


async def test_what_was_revoked_stays_so_in_another_worker(world):
    token = await token_of(world)
    await send(world, "/oauth/revoke", token=token)
    restarted = RevokedTokens(world.clock)
    await restarted.read(world.ledger)
    assert claims_of(token)["jti"] in restarted
    assert claims_of(await token_of(world))["jti"] not in restarted


async def test_another_clients_token_is_not_revoked(world):
    token = await token_of(world)
    client, key = await stranger(world, "sme")
    refused(await send(world, "/oauth/revoke", client, key, token=token), "invalid_request")
    assert (await world.me(token)).status_code == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 9000])
async def test_what_is_no_token_is_revoked_already(world, token):
    assert (await send(world, "/oauth/revoke", token=token)).status_code == 200


async def test_nobody_revokes_without_proof(world):
    token = await token_of(world)
    async with world.http() as http:
        answer = await http.post("/oauth/revoke", data={"token": token})
    refused(answer)
    made = world.assertion()
    await world.post(made)
    async with world.http() as http:
        form = {**world.form(made), "token": token}
        refused(await http.post("/oauth/revoke", data=form))
    assert (await world.me(token)).status_code == 200
    refused(await send(world, "/oauth/revoke"), "invalid_request")


# -- Introspection (RFC 7662, RFC 9701) -------------------------------------------------------


async def asked(world, token, client=None, key=None):
    return (await send(world, "/oauth/introspect", client, key, token=token)).json()


async def test_a_client_asks_about_its_own_token(world):
    token = await token_of(world, scope="catalog")
    told = await asked(world, token)
    claims = claims_of(token)
    assert told.pop("active") is True
    assert told.pop("token_type") == "Bearer"
    assert told == claims


async def test_the_operator_asks_about_any_and_others_about_none(world):
    token = await token_of(world)
    assert (await asked(world, token, *await stranger(world, "operator")))["active"] is True
    for role in ("sme", "platform", "auditor"):
        assert await asked(world, token, *await stranger(world, role)) == {"active": False}


async def test_a_grants_token_is_told_to_its_platform_while_it_stands(world):
    grant = a_grant()
    world.grants[grant.grant_id] = grant
    token = await token_of(world, scope=f"grant:{grant.grant_id}")
    provider = await world.add_organisation("platform")
    key = generate_client_key()
    connector = await world.add_client(provider, public_jwks(key))
    standing = Standing(world.client_id, provider, "active")
    world.standings[grant.grant_id] = standing
    told = await asked(world, token, connector, key)
    assert (told["active"], told["grant_id"]) == (True, grant.grant_id)
    assert told["authorization_details"] == grant.authorization_details
    assert told["aud"] == f"{ISSUER}/gateway"
    assert await asked(world, token, *await stranger(world, "platform")) == {"active": False}
    for status in ("suspended", "revoked", "ended"):
        world.standings[grant.grant_id] = Standing(world.client_id, provider, status)
        assert await asked(world, token, connector, key) == {"active": False}
    world.standings[grant.grant_id] = Standing("cli_other", provider, "active")
    assert await asked(world, token, connector, key) == {"active": False}


async def test_what_is_not_good_is_told_apart_from_nothing(world):
    token, operator = await token_of(world), await stranger(world, "operator")
    for text in ("x", token[:-4] + "AAAA", claims_of(token)["jti"]):
        assert await asked(world, text, *operator) == {"active": False}
    await send(world, "/oauth/revoke", token=token)
    assert await asked(world, token, *operator) == {"active": False}
    token = await token_of(world)
    await world.change(CLIENTS, world.client_id, 1, status="disabled")
    assert await asked(world, token, *operator) == {"active": False}


async def test_an_answer_as_a_jwt_is_for_its_asker_alone(world):
    token = await token_of(world)
    answer = await send(world, "/oauth/introspect", token=token, accept=MEDIA_TYPE)
    assert answer.headers["content-type"] == MEDIA_TYPE
    read = jwt.decode(answer.text, jwk.KeySet.import_key_set(world.keys.jwks))
    assert read.header["typ"] == "token-introspection+jwt"
    assert (read.claims["iss"], read.claims["aud"]) == (ISSUER, world.client_id)
    assert read.claims["token_introspection"]["active"] is True
    assert (await world.me(answer.text)).status_code == 401  # it is never taken for a token


@pytest.mark.parametrize(
    ("accept", "is_signed"),
    [
        (MEDIA_TYPE, True),
        (f"{MEDIA_TYPE};q=0.5, text/html, */*;q=0.1", True),
        (f"application/json, {MEDIA_TYPE}", True),
        (f"application/json;q=0.9, {MEDIA_TYPE.upper()} ; Q=1.0", True),
        (f"application/*;q=0.2, {MEDIA_TYPE};q=0.3", True),
        (f"application/json, {MEDIA_TYPE};q=0", False),
        (f"application/json, {MEDIA_TYPE};q=0.000", False),
        (f"application/json, {MEDIA_TYPE};q=0.9", False),
        (f"application/*, {MEDIA_TYPE};q=0.9", False),
        (f"*/*, {MEDIA_TYPE};q=0.9", False),
        (f"{MEDIA_TYPE};q=often", False),
        (f"{MEDIA_TYPE};q=nan", False),
        (f"x{MEDIA_TYPE}", False),
        (f"{MEDIA_TYPE}x", False),
        (f'text/plain;x="{MEDIA_TYPE}"', False),
        ("application/*", False),
        ("*/*", False),
        (",;,=", False),
    ],
)
async def test_an_answer_is_a_jwt_for_who_would_rather_have_one(world, accept, is_signed):
    answer = await send(world, "/oauth/introspect", token="x", accept=accept)
    assert answer.status_code == 200
    assert (answer.headers["content-type"] == MEDIA_TYPE) == is_signed


# -- Pushed requests (RFC 9126) ---------------------------------------------------------------

PUSHED = {
    "response_type": "code",
    "redirect_uri": "https://app.example/back",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    "code_challenge_method": "S256",
    "state": "s",
}


async def test_a_request_is_kept_for_the_code_flow(world):
    answer = await send(world, "/oauth/par", **PUSHED)
    assert answer.status_code == 201
    told = answer.json()
    assert told["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert told["expires_in"] == 90
    again = (await send(world, "/oauth/par", **PUSHED)).json()
    assert again["request_uri"] != told["request_uri"]


# -- Metadata of resources (RFC 9728) ---------------------------------------------------------


async def test_resources_say_whose_tokens_they_take(world):
    async with world.http() as http:
        routes = (await http.get("/.well-known/oauth-protected-resource")).json()
        gateway = (await http.get("/.well-known/oauth-protected-resource/gateway")).json()
    assert routes["resource"] == ISSUER
    assert gateway["resource"] == f"{ISSUER}/gateway"
    for each in (routes, gateway):
        assert each["authorization_servers"] == [ISSUER]
        assert each["bearer_methods_supported"] == ["header"]


def test_a_gateway_elsewhere_tells_of_itself():
    settings = Settings(issuer="https://a.example/x", gateway_url="https://b.example/gateway")
    assert list(resource_documents(settings)) == ["/.well-known/oauth-protected-resource/x"]
