"""Pushed requests (RFC 9126): checked as they will be used, bound to a key where one is shown."""

import asyncio
import hashlib
import time

import pytest

from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.ledger.commit import ONCE
from exchange.oauth.par import URN
from exchange.participants.store import ORGANISATIONS
from tests.unit.oauth.test_tokens import PUSHED
from tests.unit.oauth.world import ISSUER, refused

PATH = "/oauth/par"
GRANT = "grt_0000_" + "0" * 26
DETAILS = f'[{{"type":"dataset","grant_id":"{GRANT}"}}]'


@pytest.fixture
def prover():
    return Prover(generate_client_key())


async def push(world, *proofs, **changes):
    """Push a good request with changes; None takes a parameter away."""
    form = world.form(**(PUSHED | {"grant_type": None} | changes))
    async with world.http() as http:
        return await http.post(PATH, data=form, headers=[("DPoP", each) for each in proofs])


def proof_of(world, prover, path=PATH, **changes):
    now = world.clock() / 1000
    return prover.proof("POST", ISSUER + path, now, **({"nonce": world.nonces.make(now)} | changes))


def kept(world, answer):
    """What the ledger keeps of a request, by its reference."""
    assert answer.status_code == 201, answer.text
    reference = answer.json()["request_uri"].removeprefix(URN)
    key = f"par:{hashlib.sha256(reference.encode()).hexdigest()}"
    found = ONCE.select().where(ONCE.c.key == key)
    return world.db.read_now(lambda c: c.execute(found).one()).outcome


async def test_a_request_pushed_with_a_proof_is_bound_to_its_key(world, prover):
    answer = await push(world, proof_of(world, prover))
    assert kept(world, answer)["jkt"] == prover.jkt
    assert world.nonces.is_fresh(answer.headers["dpop-nonce"], time.time())
    both = await push(world, proof_of(world, prover), dpop_jkt=prover.jkt)
    assert kept(world, both)["jkt"] == prover.jkt
    named = await push(world, dpop_jkt=prover.jkt)
    assert kept(world, named)["jkt"] == prover.jkt
    assert "dpop-nonce" not in named.headers
    assert kept(world, await push(world))["jkt"] is None


async def test_a_client_of_bound_tokens_need_not_show_its_key_yet(world, prover):
    jwks = public_jwks(world.client_key)
    world.client_id = await world.add_client(world.org_id, jwks, dpop_bound=True)
    assert kept(world, await push(world))["client_id"] == world.client_id
    assert kept(world, await push(world, proof_of(world, prover)))["jkt"] == prover.jkt


async def test_proofs_that_bind_nothing(world, prover):
    for proofs in (
        ["garbage"],
        [proof_of(world, prover), proof_of(world, prover)],
        [proof_of(world, prover, "/oauth/token")],
        [prover.proof("GET", ISSUER + PATH, time.time(), nonce=world.nonces.make(time.time()))],
        [proof_of(world, prover)[:-8] + "AAAAAAAA"],
    ):
        refused(await push(world, *proofs), "invalid_dpop_proof")
    for nonce in (None, "x" * 28):
        answer = await push(world, proof_of(world, prover, nonce=nonce))
        refused(answer, "use_dpop_nonce")
        assert world.nonces.is_fresh(answer.headers["dpop-nonce"], time.time())


async def test_a_proof_is_good_for_one_pushed_request(world, prover):
    proof = proof_of(world, prover)
    answers = await asyncio.gather(*(push(world, proof) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [201, 400, 400, 400]
    assert "used before" in refused(await push(world, proof), "invalid_dpop_proof")


async def test_the_key_that_is_named_is_the_proofs(world, prover):
    other = Prover(generate_client_key()).jkt
    refused(await push(world, proof_of(world, prover), dpop_jkt=other), "invalid_dpop_proof")


@pytest.mark.parametrize("jkt", ["x", "x" * 42, "x" * 44, "+" * 43, "_" * 43, "é" * 43])
async def test_a_name_that_no_key_has(world, jkt):
    refused(await push(world, dpop_jkt=jkt), "invalid_request")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scope": "operate"}, "invalid_scope"),
        ({"scope": "operate nonsense"}, "invalid_scope"),
        ({"scope": "catalog  grants"}, "invalid_scope"),
        ({"scope": "catalog", "resource": "https://evil.example"}, "invalid_target"),
        ({"resource": f"{ISSUER}/gateway"}, "invalid_target"),
        ({"scope": f"grant:{GRANT}", "resource": ISSUER}, "invalid_target"),
        ({"authorization_details": DETAILS, "resource": ISSUER}, "invalid_target"),
        ({"scope": "catalog", "authorization_details": DETAILS}, "invalid_request"),
    ],
)
async def test_what_the_token_endpoint_would_refuse(world, changes, error):
    refused(await push(world, **changes), error)


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "catalog requests", "resource": ISSUER},
        {"scope": f"grant:{GRANT}", "resource": f"{ISSUER}/gateway"},
        {"authorization_details": DETAILS, "resource": f"{ISSUER}/gateway"},
    ],
)
async def test_what_it_would_not(world, changes):
    stored = kept(world, await push(world, **changes))
    assert stored["request"] == PUSHED | changes


async def test_a_suspended_organisation_pushes_what_it_could_still_get(world):
    await world.change(ORGANISATIONS, world.org_id, 1, status="suspended")
    refused(await push(world, scope="catalog requests"), "invalid_scope")
    refused(await push(world, authorization_details=DETAILS), "access_denied")
    assert (await push(world, scope="participants")).status_code == 201
