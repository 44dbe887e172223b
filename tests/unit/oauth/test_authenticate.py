"""Who calls an API route: the token says who, the records say what they may."""

import pytest

from exchange.errors import Unauthenticated
from exchange.formats.tokens import public_jwks
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.presented import Presented


@pytest.fixture
async def token(world):
    return (await world.post()).json()["access_token"]


def authenticator(world):
    made = world.authenticator()

    async def check(token):
        known, nonce = made.verify(Presented("bearer", token, (), "GET", "/v1/me"))
        assert nonce is None
        return await made.caller(known)

    return check


async def test_the_caller_is_client_organisation_roles_and_scopes(world, token):
    caller = await authenticator(world)(token)
    assert (caller.client_id, caller.org_id) == (world.client_id, world.org_id)
    assert caller.roles == {"sme"}
    assert caller.scopes == {"participants", "catalog", "requests", "grants"}


async def test_a_role_that_was_taken_away_takes_its_scopes_along(world):
    await world.change(ORGANISATIONS, world.org_id, 1, roles=["sme", "auditor"])
    token = (await world.post()).json()["access_token"]
    assert "log" in (await authenticator(world)(token)).scopes
    await world.change(ORGANISATIONS, world.org_id, 2, roles=["sme"])
    world.participants.drop([world.org_id])
    caller = await authenticator(world)(token)
    assert caller.roles == {"sme"}
    assert caller.scopes == {"participants", "catalog", "requests", "grants"}


async def test_a_token_ends_with_its_client(world, token):
    await world.change(CLIENTS, world.client_id, 1, status="disabled")
    world.participants.drop([world.client_id])
    with pytest.raises(Unauthenticated) as caught:
        await authenticator(world)(token)
    assert caught.value.code == "client_disabled"


async def test_a_token_of_a_suspended_organisation_reads_and_appeals(world, token):
    """And no more, though it was issued before; once the hold is lifted it is what it was."""
    check = authenticator(world)
    before = await check(token)
    await world.change(ORGANISATIONS, world.org_id, 1, holds=1)
    world.participants.drop([world.org_id])
    caller = await check(token)
    assert (caller.scopes, caller.is_suspended) == ({"participants", "grants"}, True)
    await world.change(ORGANISATIONS, world.org_id, 2, holds=0)
    world.participants.drop([world.org_id])
    assert await check(token) == before


async def test_a_client_that_moved_to_another_organisation_needs_a_new_token(world, token):
    other = await world.add_organisation("operator")
    await world.change(CLIENTS, world.client_id, 1, org_id=other)
    world.participants.drop([world.client_id])
    with pytest.raises(Unauthenticated):
        await authenticator(world)(token)


async def test_time_ends_a_token_also_one_whose_signature_is_remembered(world, token):
    check = authenticator(world)
    assert await check(token)
    world.offset_ms = 299_000
    assert await check(token)
    world.offset_ms = 301_000
    with pytest.raises(Unauthenticated) as caught:
        await check(token)
    assert caught.value.code == "token_expired"
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("nonsense", ["", "x", "a.b.c", "..", "é.é.é", "a" * 100_000, "\ud800"])
async def test_nonsense_is_not_a_token(world, nonsense):
    with pytest.raises(Unauthenticated):
        await authenticator(world)(nonsense)


async def test_over_http_a_refused_token_is_a_problem(world, token):
    assert (await world.me(token)).status_code == 200
    answer = await world.me(token[:-4] + "AAAA")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.json()["type"] == "urn:exchange:problem:token_signature_wrong"


async def test_two_clients_of_one_organisation_stay_apart(world):
    second = await world.add_client(world.org_id, public_jwks(world.client_key))
    made = world.assertion(iss=second, sub=second)
    other = (await world.post(made, scope="catalog")).json()["access_token"]
    assert (await authenticator(world)(other)).client_id == second
