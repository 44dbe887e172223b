"""Attacks on client authentication, each by its name; none may end in a token or a 500.

Over HTTP against the real routes and a real ledger. The world's HTTP client raises what a route
raises, so an unhandled exception fails the test here instead of hiding behind a status.
"""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio
import base64
import hashlib
import hmac
import json
import time
import warnings

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk

from exchange.formats.errors import FormatError
from exchange.formats.tokens import generate_client_key, parse_public_jwks, public_jwks
from exchange.ids import new_id
from tests.unit.oauth.world import ISSUER, b64, claims_of, forge, refused, shared_world, world

EVIL = "https://evil.example"


# -- The assertion's header -------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None])
async def test_alg_none_cve_2026_28802(world, algorithm):
    header = {"alg": algorithm, "kid": world.client_key["kid"]}
    for signature in ("", b64(b"\0"), b64(bytes(64))):
        unsigned = forge(header, world.claims()) + signature
        refused(await world.post(unsigned))
    refused(await world.post(world.assertion(header={"kid": world.client_key["kid"]})))


async def test_hs256_with_the_public_key_cve_2024_37568(world):
    """The classic confusion: the public key, which anyone has, as an HMAC secret."""
    public = jwk.import_key(public_jwks(world.client_key)["keys"][0])
    pem = public.public_key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secrets = [pem, pem.strip(), json.dumps(public.as_dict(private=False)).encode(), b""]
    for secret in secrets:
        signed = forge({"alg": "HS256", "kid": world.client_key["kid"]}, world.claims())[:-1]
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        refused(await world.post(f"{signed}.{b64(mac)}"))


@pytest.mark.parametrize(
    "algorithm", ["RS256", "PS256", "PS512", "ES384", "ES256K", "EdDSA", "es256"]
)
async def test_another_algorithm_than_the_keys(world, algorithm):
    refused(await world.post(world.assertion(header={"alg": algorithm})))


@pytest.mark.parametrize("value", [["ES256"], {"a": 1}, 1, True])
async def test_header_members_of_the_wrong_type(world, value):
    for name in ("alg", "kid", "typ"):
        header = {"alg": "ES256", "kid": world.client_key["kid"], name: value}
        refused(await world.post(world.assertion(header=header)))


async def test_key_in_the_header_jwk_cve_2026_27962(world):
    """The attacker signs with a key of theirs and sends the key along (CVE-2026-27962)."""
    attacker = generate_client_key()
    public = public_jwks(attacker)["keys"][0]
    for header in (
        {"alg": "ES256", "jwk": public},
        {"alg": "ES256", "kid": public["kid"], "jwk": public},
    ):
        refused(await world.post(world.assertion(header=header, key=attacker)))


@pytest.mark.parametrize("name", ["jku", "x5u", "x5c", "x5t", "iss"])
async def test_key_by_reference_in_the_header(world, name):
    attacker = generate_client_key()
    value = [b64(b"certificate")] if name == "x5c" else f"{EVIL}/keys"
    for key in (attacker, world.client_key):  # refused also where the signature is right
        header = {"alg": "ES256", "kid": world.client_key["kid"], name: value}
        refused(await world.post(world.assertion(header=header, key=key)))


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["bork"], [], "exp", None])
async def test_unknown_crit_cve_2025_59420(world, crit):
    """CVE-2025-59420: an extension that must be understood was ignored."""
    header = {"alg": "ES256", "kid": world.client_key["kid"], "crit": crit, "bork": 1, "b64": False}
    refused(await world.post(world.assertion(header=header)))


@pytest.mark.parametrize(
    "kid", ["", "unknown", "../../etc/passwd", "' OR 1=1 --", "\ud800", "x" * 900]
)
async def test_unknown_kid(world, kid):
    refused(await world.post(world.assertion(header={"alg": "ES256", "kid": kid})))


async def test_kid_of_another_clients_key(world):
    other = generate_client_key()
    await world.add_client(world.org_id, public_jwks(other))
    header = {"alg": "ES256", "kid": other["kid"]}
    refused(await world.post(world.assertion(header=header, key=other)))


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "JWE", "application/jwt"])
async def test_wrong_typ(world, typ):
    header = {"alg": "ES256", "kid": world.client_key["kid"], "typ": typ}
    refused(await world.post(world.assertion(header=header)))


# -- The assertion's meaning ------------------------------------------------------------------


async def test_assertion_replay(world):
    made = world.assertion()
    assert (await world.post(made)).status_code == 200
    assert "used before" in refused(await world.post(made))
    # Nor under another spelling of the same claims, signed anew with the same jti.
    jti = claims_of(made)["jti"]
    assert "used before" in refused(await world.post(world.assertion(jti=jti, iat=None)))


async def test_assertion_replay_in_parallel(world):
    for _ in range(5):
        made = world.assertion()
        answers = await asyncio.gather(*(world.post(made) for _ in range(16)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15


async def test_assertion_replay_for_something_else(world):
    """An assertion that was refused for its scope is not good for another scope afterwards."""
    made = world.assertion()
    refused(await world.post(made, scope="operate"), "invalid_scope")
    assert "used before" in refused(await world.post(made, scope="catalog"))


async def test_assertion_replay_by_its_other_ecdsa_signature(world):
    """(r, n-s) verifies wherever (r, s) does: another string, the same assertion."""
    made = world.assertion()
    assert (await world.post(made)).status_code == 200
    signed, _, signature = made.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert "used before" in refused(await world.post(f"{signed}.{b64(twin)}"))


async def test_one_clients_jti_does_not_burn_anothers(world):
    """Else a client could make others' assertions fail by using their jti first."""
    key = generate_client_key()
    other = await world.add_client(world.org_id, public_jwks(key))
    header = {"alg": "ES256", "kid": key["kid"]}
    theirs = world.assertion(header=header, key=key, iss=other, sub=other, jti="same")
    assert (await world.post(theirs)).status_code == 200
    assert (await world.post(world.assertion(jti="same"))).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [
        [ISSUER],
        [ISSUER, EVIL],
        [EVIL, ISSUER],
        EVIL,
        ISSUER + "/",
        ISSUER + "/oauth/token",
        ISSUER.upper(),
        ISSUER + ".evil.example",
        f"{ISSUER} {EVIL}",
        {ISSUER: 1},
    ],
)
async def test_audience_injection(world, audience):
    """An array with a foreign value passed in Authlib: another server could replay it here."""
    refused(await world.post(world.assertion(aud=audience)))


@pytest.mark.parametrize("ahead", [331, 3600, 10 * 365 * 86_400, 2**50, 10**30])
async def test_exp_far_ahead(world, ahead):
    """Ten years passed in Authlib. Without iat the bound is the same."""
    exp = int(time.time()) + ahead
    refused(await world.post(world.assertion(exp=exp)))
    refused(await world.post(world.assertion(exp=exp, iat=None)))


async def test_times_out_of_their_bounds(world):
    now = int(time.time())
    for changes in (
        {"exp": now - 1, "iat": now - 61},
        {"exp": now, "iat": now - 60},
        {"iat": now - 86_400},  # it has been valid for a day
        {"iat": now + 45},
        {"nbf": now + 45},
        {"iat": now + 20, "exp": now + 10},
    ):
        refused(await world.post(world.assertion(**changes)))
    assert (await world.post(world.assertion(iat=now + 20, exp=now + 80))).status_code == 200


async def test_iss_sub_and_client_id_must_agree(world):
    other = await world.add_client(world.org_id, public_jwks(generate_client_key()))
    refused(await world.post(world.assertion(iss=other)))
    refused(await world.post(world.assertion(sub=other)))
    refused(await world.post(world.assertion(iss=other, sub=other)))
    refused(await world.post(client_id=other))
    assert (await world.post(client_id=world.client_id)).status_code == 200


@pytest.mark.parametrize(
    "sub", ["' OR 1=1 --", "cli_", "cli_\x00", "\ud800", "org_" + "0" * 26, "x" * 5000]
)
async def test_sub_that_is_no_client_id(world, sub):
    refused(await world.post(world.assertion(iss=sub, sub=sub)))


async def test_a_client_that_does_not_exist_is_not_told_apart_from_a_wrong_signature(world):
    ghost = new_id("cli")
    key = generate_client_key()
    header = {"alg": "ES256", "kid": world.client_key["kid"]}
    unknown = refused(await world.post(world.assertion(iss=ghost, sub=ghost)))
    wrong = refused(await world.post(world.assertion(header=header, key=key)))
    assert unknown == wrong


async def test_disabled_client(world):
    jwks = public_jwks(world.client_key)
    disabled = await world.add_client(world.org_id, jwks, status="disabled")
    refused(await world.post(world.assertion(iss=disabled, sub=disabled)))


async def test_suspended_organisation_gets_no_more_than_reading_and_appealing(world):
    """No scope beyond, no grant, and the assertion is spent by the try."""
    jwks = public_jwks(world.client_key)
    org = await world.add_organisation("sme", status="suspended")
    client = await world.add_client(org, jwks)

    async def ask(made=None, **more):
        return await world.post(made or world.assertion(iss=client, sub=client), **more)

    assert (await ask()).json()["scope"] == "grants participants"
    assert (await ask(scope="grants")).json()["scope"] == "grants"
    for scope in ("requests", "catalog", "grants requests"):
        refused(await ask(scope=scope), "invalid_scope")
    made = world.assertion(iss=client, sub=client)
    refused(await ask(made, scope="grant:grt_ab12_" + "0" * 26), "access_denied")
    assert world.asked == []
    assert "used before" in refused(await ask(made))


async def test_rsa_key_too_small(world):
    """Refused at registration; a row that holds one nevertheless authenticates nobody."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc warns of it, too
        small = jwk.RSAKey.import_key(rsa.generate_private_key(65537, 1024))
        private, public = small.as_dict(private=True), small.as_dict(private=False)
        with pytest.raises(FormatError, match="2048"):
            parse_public_jwks({"keys": [public]})
        jwks = {"keys": [{**public, "kid": "small"}]}
        client = await world.add_client(world.org_id, jwks, unchecked=True)
        header = {"alg": "PS256", "kid": "small"}
        made = world.assertion(header=header, key=private, iss=client, sub=client)
    refused(await world.post(made))
