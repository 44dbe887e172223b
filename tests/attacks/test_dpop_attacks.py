"""Attacks on tokens that are bound to a key (RFC 9449), each by its name.

At the token endpoint and the exchange's own routes; the gateway's stand below, on its own app.
"""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio
import time

import httpx
import pytest

from exchange.formats.dpop import MAX_AGE, Prover
from exchange.formats.tokens import generate_client_key, public_jwks
from tests.support.token_requests import Program
from tests.unit.connectors.attacked import NAME, code, make_attacked, nothing_left
from tests.unit.connectors.world import AUDIENCE, GRANT, NONCES, url
from tests.unit.oauth.world import ISSUER, claims_of, forge, refused, shared_world, world


@pytest.fixture
async def program(world):
    async with world.http() as http:
        made = Program(http, ISSUER, world.client_id, world.client_key)
        await made.ask(scope="catalog")
        yield made


async def bound_token(program):
    answer = await program.ask(scope="catalog")
    assert answer.json()["token_type"] == "DPoP"
    return answer.json()["access_token"]


async def me(program, **headers):
    answer = await program.http.get("/v1/me", headers=headers)
    assert answer.status_code < 500
    return answer


def challenged(answer, code, error="invalid_dpop_proof"):
    assert (answer.status_code, answer.json()["type"]) == (401, f"urn:exchange:problem:{code}")
    assert f'error="{error}"' in answer.headers["www-authenticate"]


async def test_it_works_when_nobody_attacks(program):
    token = await bound_token(program)
    assert (await me(program, **program.shows(token, "GET", "/v1/me"))).status_code == 200


# -- At the token endpoint --------------------------------------------------------------------


async def test_a_proof_replayed_at_the_token_endpoint(program):
    proof = program.proof()
    assert (await program.send(program.form(), proof)).status_code == 200
    words = refused(await program.send(program.form(), proof), "invalid_dpop_proof")
    assert "used before" in words


async def test_a_proof_replayed_in_parallel(program):
    proof = program.proof()
    answers = await asyncio.gather(*(program.send(program.form(), proof) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 11


@pytest.mark.parametrize("nonce", [None, "", "x", "A" * 28, "none yet"])
async def test_a_nonce_that_is_not_ours(program, nonce):
    program.nonce = nonce
    answer = await program.send(program.form(), program.proof())
    expected = "invalid_dpop_proof" if nonce == "" else "use_dpop_nonce"
    refused(answer, expected)
    assert ("dpop-nonce" in answer.headers) == (nonce != "")


async def test_a_proof_made_ahead_with_a_nonce_of_yesterday(world, program):
    """Somebody who had the key for a moment cannot lay in a stock of proofs."""
    proof = program.proof()
    world.offset_ms = (MAX_AGE + 60) * 1000
    later = world.form(world.assertion())
    answer = await program.send(later, proof)
    refused(answer, "invalid_dpop_proof")
    assert (await program.send(world.form(world.assertion()))).json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/oauth/token"), ("POST", "/v1/me"), ("POST", "/oauth/token/"), ("POST", "")],
)
async def test_a_proof_for_another_request(program, method, path):
    refused(await program.send(program.form(), program.proof(method, path)), "invalid_dpop_proof")


async def test_htu_taken_from_the_host_header(program):
    """A forged Host passed in a prototype: the URL is made of settings and the path alone."""
    evil = Prover(generate_client_key())
    proof = evil.proof("POST", "https://evil.example/oauth/token", time.time(), nonce=program.nonce)
    for name in ("Host", "X-Forwarded-Host"):
        answer = await program.send(program.form(), proof, **{name: "evil.example"})
        refused(answer, "invalid_dpop_proof")
    right = program.proof()
    assert (await program.send(program.form(), right, Host="evil.example")).status_code == 200


async def test_two_proofs(program):
    answer = await program.send(program.form(), program.proof(), program.proof())
    refused(answer, "invalid_dpop_proof")


async def test_a_proof_with_a_private_key_in_it(program):
    """It is shown to us and to every proxy: it proves nothing any more."""
    key = generate_client_key()
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key}
    refused(await program.send(program.form(), forged(program, header, key)), "invalid_dpop_proof")


def forged(program, header, key, **claims):
    good = {
        "jti": str(time.time_ns()),
        "htm": "POST",
        "htu": f"{ISSUER}/oauth/token",
        "iat": int(time.time()),
        "nonce": program.nonce,
    }
    return forge(header, good | claims, key)


async def test_headers_of_proofs_that_are_none(program):
    key = generate_client_key()
    public = public_jwks(key)["keys"][0]
    good = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public}
    assert (await program.send(program.form(), forged(program, good, key))).status_code == 200
    for change in (
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
        {"alg": None},
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": None},
        {"jwk": None},
        {"jwk": "https://evil.example/key"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": {**public, "crv": "P-384"}},
        {"jwk": {**public, "y": public["x"]}},
        {"jwk": public_jwks(generate_client_key())["keys"][0]},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"kid": "x"},
        {"crit": ["exp"]},  # CVE-2025-59420
        {"b64": False},
        {"p2c": 10**9},  # CVE-2025-61920 and its like: work that the sender chooses
    ):
        proof = forged(program, good | change, key)
        refused(await program.send(program.form(), proof), "invalid_dpop_proof")


async def test_proofs_that_are_no_tokens(program):
    nested = '{"a":' * 2000 + "1" + "}" * 2000
    for text in (
        "",
        ".",
        "..",
        "a.b.c",
        "x" * 20_000,
        forge(nested.encode(), {}),
        b"\xe9.\xe9.\xe9",
    ):
        answer = await program.send(program.form(), text)
        refused(answer, "invalid_dpop_proof")


async def test_a_client_of_bound_tokens_gets_no_bearer_token(world, program):
    key = generate_client_key()
    bound = await world.add_client(world.org_id, public_jwks(key), dpop_bound=True)
    careful = Program(program.http, ISSUER, bound, key)
    refused(await careful.send(careful.form()), "invalid_dpop_proof")
    assert (await careful.ask()).json()["token_type"] == "DPoP"


# -- At the exchange's own routes -------------------------------------------------------------


async def test_a_stolen_token_is_no_bearer_token(program):
    token = await bound_token(program)
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"DPoP {token}"},
        {"Authorization": f"Bearer {token}", "DPoP": program.proof("GET", "/v1/me", token=token)},
    ):
        challenged(await me(program, **headers), "dpop_proof_missing")


async def test_a_stolen_token_with_the_thiefs_proof(program):
    token = await bound_token(program)
    thief = Program(program.http, ISSUER, program.client_id, program.key)
    thief.nonce = program.nonce
    challenged(await me(program, **thief.shows(token, "GET", "/v1/me")), "dpop_proof_invalid")


async def test_a_bearer_token_dressed_up_with_a_proof(world, program):
    token = (await program.send(program.form())).json()["access_token"]
    shown = program.shows(token, "GET", "/v1/me")
    answer = await me(program, **shown)
    assert answer.status_code == 401


async def test_a_proof_for_another_token_route_or_method(program):
    token = await bound_token(program)
    for other in ("other", None):
        proof = program.proof("GET", "/v1/me", token=other)
        shown = {"Authorization": f"DPoP {token}", "DPoP": proof}
        challenged(await me(program, **shown), "dpop_proof_invalid")
    for method, path in (("POST", "/v1/me"), ("GET", "/v1/offerings"), ("GET", "/v1/me/")):
        shown = program.shows(token, method, path)
        challenged(await me(program, **shown), "dpop_proof_invalid")
    shown = program.shows(token, "GET", "/v1/me?a=b")  # the query is no part of htu
    assert (await me(program, **shown)).status_code == 200


async def test_a_proof_replayed_at_a_route(program):
    token = await bound_token(program)
    shown = program.shows(token, "GET", "/v1/me")
    assert (await me(program, **shown)).status_code == 200
    challenged(await me(program, **shown), "dpop_replayed")


async def test_a_nonce_is_asked_for_and_renewed(world, program):
    token = await bound_token(program)
    answer = await me(program, **program.shows(token, "GET", "/v1/me", nonce=None))
    challenged(answer, "dpop_nonce_needed", "use_dpop_nonce")
    nonce = answer.headers["dpop-nonce"]
    shown = program.shows(token, "GET", "/v1/me", nonce=nonce)
    assert "dpop-nonce" not in (await me(program, **shown)).headers


async def test_a_grant_token_bound_or_not_is_no_api_token(world, program):
    token = await bound_token(program)
    claims = claims_of(token)
    assert claims["cnf"] == {"jkt": program.prover.jkt}
    assert claims["aud"] == ISSUER


# -- At the gateway ---------------------------------------------------------------------------


@pytest.fixture
async def gateway(tmp_path):
    made = await make_attacked(tmp_path)
    yield made
    made.files.close()


def proved(prover, token, path, method="GET", **more):
    options = {"nonce": NONCES.make(time.time()), "token": token} | more
    return prover.proof(method, AUDIENCE + path, time.time(), **options)


async def test_at_the_gateway_a_bound_token_needs_its_proof_once(gateway):
    prover, thief = Prover(generate_client_key()), Prover(generate_client_key())
    token = gateway.issuer.token(cnf={"jkt": prover.jkt})
    path = f"/grants/{GRANT}/files/{NAME}"
    transport = httpx.ASGITransport(gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:

        async def fetch(*proofs, scheme="DPoP"):
            sent = [("Authorization", f"{scheme} {token}"), *(("DPoP", each) for each in proofs)]
            return await http.get(url(NAME), headers=sent)

        for answer in (
            await fetch(scheme="Bearer"),
            await fetch(proved(prover, token, path), scheme="Bearer"),
            await fetch(),
            await fetch(proved(thief, token, path)),
            await fetch(proved(prover, "other", path)),
            await fetch(proved(prover, token, "/grants/x")),
            await fetch(proved(prover, token, path, "HEAD")),
            await fetch(proved(prover, token, path, nonce="x")),
            await fetch(proved(prover, token, path), proved(prover, token, path)),
        ):
            assert answer.status_code == 401, answer.text
            assert answer.headers["www-authenticate"].startswith("DPoP error=")
            nothing_left(gateway, answer)
        assert gateway.door.uses == {}
        proof = proved(prover, token, path)
        assert (await fetch(proof)).status_code == 200
        again = await fetch(proof)
        assert (again.status_code, code(again)) == (401, "dpop_replayed")
    [use] = gateway.door.uses.values()
    assert use.proof.key.startswith(f"dpop:{prover.jkt}:")
    assert use.proof.expires_ms > time.time() * 1000


async def test_at_the_gateway_a_token_is_for_its_actions_only(gateway):
    """A token that was asked for less than its grant allows gives no more (RFC 9396)."""
    transport = httpx.ASGITransport(gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
        for actions in (["call"], [], None, "read", [["read"]]):
            details = [{"type": "dataset", "grant_id": GRANT, "actions": actions}]
            token = gateway.issuer.token(authorization_details=details)
            answer = await http.get(url(NAME), headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, code(answer)) == (403, "action_not_granted")
    assert gateway.door.uses == {}
