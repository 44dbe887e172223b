"""Attacks on the exchange's routes by forged, foreign and misused access tokens."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import hashlib
import hmac
import json
import time

import pytest

from exchange.formats.dpop import Prover
from exchange.formats.tokens import (
    KeySet,
    TokenRefused,
    generate_client_key,
    public_jwks,
    verify_grant_token,
)
from exchange.ids import new_id
from exchange.oauth.assertion import TYPE
from exchange.oauth.model import GrantForToken
from exchange.presented import Presented
from tests.unit.oauth.test_grant_tokens import a_grant
from tests.unit.oauth.world import ISSUER, b64, claims_of, forge, refused, shared_world, world

EVIL = "https://evil.example"


@pytest.fixture
async def good(world):
    """A good token: proof that the world works, and what the attacks are bent from."""
    answer = await world.post()
    assert answer.status_code == 200
    return answer.json()["access_token"]


async def unauthenticated(world, token):
    answer = await world.me(token)
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    return answer.json()["type"].removeprefix("urn:exchange:problem:")


def own_key(world):
    """The exchange's private key: for attacks that even its own signature must not save."""
    text = (world.settings.keys_dir / "token.jwk").read_text()
    return json.loads(text)["keys"][0]


async def test_token_with_alg_none_or_hs256(world, good):
    header = {"alg": "none", "kid": own_key(world)["kid"], "typ": "at+jwt"}
    assert await unauthenticated(world, forge(header, claims_of(good)) + b64(b"x"))
    signed = forge({**header, "alg": "HS256"}, claims_of(good))[:-1]
    secret = json.dumps(world.keys.jwks["keys"][0]).encode()
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    assert await unauthenticated(world, f"{signed}.{b64(mac)}") == "token_header_refused"


async def test_token_that_brings_its_own_key(world, good):
    attacker = generate_client_key()
    for name, value in (("jwk", public_jwks(attacker)["keys"][0]), ("jku", EVIL), ("x5u", EVIL)):
        header = {"alg": "ES256", "kid": attacker["kid"], "typ": "at+jwt", name: value}
        assert await unauthenticated(world, forge(header, claims_of(good), attacker))


async def test_token_of_wrong_typ(world, good):
    """A client assertion, or anything else that is signed, is no access token."""
    for typ in ("JWT", "application/at+jwt", "statuslist+jwt", None):
        header = {"alg": "ES256", "kid": own_key(world)["kid"], "typ": typ}
        forged = forge(header, claims_of(good), own_key(world))
        assert await unauthenticated(world, forged) == "token_header_refused"
    assert await unauthenticated(world, world.assertion())


async def test_token_of_another_issuer(world, good):
    other = generate_client_key()
    header = {"alg": "ES256", "kid": other["kid"], "typ": "at+jwt"}
    theirs = claims_of(good) | {"iss": EVIL}
    assert await unauthenticated(world, forge(header, theirs, other)) == "token_key_unknown"
    header["kid"] = own_key(world)["kid"]
    forged = forge(header, theirs, own_key(world))
    assert await unauthenticated(world, forged) == "token_issuer_wrong"


async def test_token_with_widened_claims(world, good):
    header, _, signature = good.split(".")
    for change in ({"scope": "operate catalog"}, {"org_id": "org_x"}, {"exp": 2**33}):
        widened = f"{header}.{b64(claims_of(good) | change)}.{signature}"
        assert await unauthenticated(world, widened) == "token_signature_wrong"


async def test_grant_token_as_api_token(world):
    grant = GrantForToken(new_id("grt", "ab12"), new_id("off"), int(time.time() * 1000) + 10**7, [])
    world.grants[grant.grant_id] = grant
    token = (await world.post(scope=f"grant:{grant.grant_id}")).json()["access_token"]
    assert await unauthenticated(world, token) == "token_audience_wrong"
    # Also where an operator gave exchange and gateway one address.
    header = {"alg": "ES256", "kid": own_key(world)["kid"], "typ": "at+jwt"}
    same = forge(header, claims_of(token) | {"aud": ISSUER}, own_key(world))
    assert await unauthenticated(world, same) == "token_kind_wrong"


async def test_api_token_as_grant_token(world, good):
    for audience in (ISSUER, f"{ISSUER}/gateway"):
        with pytest.raises(TokenRefused):
            verify_grant_token(
                good, world.keys.public, issuer=ISSUER, audience=audience, now=time.time()
            )


async def test_scope_in_a_token_beyond_the_roles_gives_nothing(world, good):
    """Even the exchange's own signature gives no more than the record of today."""
    header = {"alg": "ES256", "kid": own_key(world)["kid"], "typ": "at+jwt"}
    forged = forge(header, claims_of(good) | {"scope": "operate log"}, own_key(world))
    check = world.authenticator()
    known, _ = check.verify(Presented("bearer", forged, (), "GET", "/v1/me"))
    assert (await check.caller(known)).scopes == frozenset()


async def test_nothing_but_these_attacks_keeps_the_world_from_working(world, good):
    assert (await world.me(good)).status_code == 200
    assert (await world.post(client_assertion_type=TYPE)).status_code == 200


async def test_no_answer_brings_a_refresh_token(world):
    """Nor anything else that outlives the access token, whatever is asked and however."""
    grant = a_grant()
    world.grants[grant.grant_id] = grant
    prover = Prover(generate_client_key())
    nonce = world.nonces.make(world.clock() / 1000)
    proof = prover.proof("POST", f"{ISSUER}/oauth/token", world.clock() / 1000, nonce=nonce)
    told = {"access_token", "token_type", "expires_in", "scope"}
    for more, members, headers in (
        ({}, told, {}),
        ({"scope": "catalog"}, told, {}),
        ({"access_type": "offline", "prompt": "consent"}, told, {}),
        ({"scope": "catalog"}, told, {"DPoP": proof}),
        (
            {"scope": f"grant:{grant.grant_id}"},
            told | {"authorization_details", "grant_ends_at"},
            {},
        ),
    ):
        async with world.http() as http:
            form = world.form(**more)
            answer = await http.post("/oauth/token", data=form, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == members, answer.json()
    refused(await world.post(scope="offline_access"), "invalid_scope")
    async with world.http() as http:
        made = world.form(grant_type="refresh_token", refresh_token="x")
        refused(await http.post("/oauth/token", data=made), "unsupported_grant_type")
