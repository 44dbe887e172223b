"""Clients by invitation and their approval: rows and leaves, on both databases."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio

import pytest

from exchange.clock import DAY_MS
from exchange.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from exchange.participants.change_member import remove_member, set_member_roles
from exchange.participants.invite_client import (
    invite_client,
    open_invitation,
    withdraw_client_invitation,
)
from exchange.participants.model import Profile
from exchange.participants.register_client import register_client
from exchange.participants.secrets import make_secret, secret_fits
from tests.support.clients import (
    chain,
    database,
    decide,
    disable,
    exchange,
    invite,
    kinds,
    register,
    told,
    world,
)
from tests.support.desk import JWKS
from tests.support.judge import judge

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_invited_registered_approved(world, database):
    owner = await world.member(world.sme.org_id, "owner")
    invitation, token = await invite(world, owner)
    assert invitation.expires_ms - invitation.created_ms == 7 * DAY_MS
    assert (await open_invitation(world.parts.participants, token)).id == invitation.id
    assert token not in str(database.sql("SELECT * FROM client_invitations"))
    client = await register(world, token, Profile(dpop_bound=True))
    assert (client.status, client.dpop_bound, client.member_id) == ("pending", True, None)
    assert client.org_id == world.sme.org_id
    used = await world.parts.participants.client_invitation(invitation.id)
    assert (used.status, used.client_id) == ("used", client.id)
    find = world.parts.participants.find_clients
    waiting = await find(None, 10, {world.sme.org_id}, "pending")
    assert [each.id for each in waiting] == [client.id]
    assert (await decide(world, client.id, True)).status == "active"
    assert (await decide(world, client.id, True)).status == "active"  # and no second leaf
    log = judge(database.sql)
    assert kinds(log, 3) == ["client.invited.v1", "client.registered.v3", "client.approved.v1"]
    assert told(world, log, "client.registered.v3") == [
        {
            "client_id": client.id,
            "organisation_id": client.org_id,
            "member_id": None,
            "key_ids": [JWKS["keys"][0]["kid"]],
            "auth_method": "private_key_jwt",
            "dpop_bound": True,
            "status": "pending",
            "invitation_id": invitation.id,
            "by": client.id,
        }
    ]


async def test_rejected_for_good_and_disabled_while_it_waits(world, database):
    rejected = await register(world, (await invite(world))[1])
    assert (await decide(world, rejected.id, False)).status == "rejected"
    assert (await decide(world, rejected.id, False)).status == "rejected"
    with pytest.raises(Conflict):
        await decide(world, rejected.id, True)
    assert (await disable(world, rejected.id)).status == "rejected"
    waiting = await register(world, (await invite(world))[1])
    assert (await disable(world, waiting.id)).status == "disabled"
    with pytest.raises(Conflict) as refused:
        await decide(world, waiting.id, True)
    assert refused.value.code == "client_not_pending"
    log = judge(database.sql)
    assert len(told(world, log, "client.rejected.v1")) == 1
    assert len(told(world, log, "client.disabled.v1")) == 1


async def test_approved_and_rejected_at_once_is_one_of_both(world, database):
    for _ in range(4):
        client = await register(world, (await invite(world))[1])
        found = await asyncio.gather(
            *[decide(world, client.id, yes) for yes in (True, False, True, False)],
            return_exceptions=True,
        )
        assert all(isinstance(each, Conflict) or each.id == client.id for each in found), found
        log = judge(database.sql)
        decided = [*log.of("client.approved.v1"), *log.of("client.rejected.v1")]
        assert [each["client_id"] for each in decided].count(client.id) == 1


async def test_only_the_operator_approves_or_invites_beyond_approval(world):
    owner = await world.member(world.sme.org_id, "owner")
    client = await register(world, (await invite(world, owner))[1])
    for caller in (owner, world.sme, world.platform):
        with pytest.raises(Forbidden):
            await decide(world, client.id, True, by=caller)
    for more in ({"approved": True}, {"may_have_secret": True}):
        with pytest.raises(Forbidden) as refused:
            await invite(world, owner, **more)
        assert refused.value.code == "operator_only"
    for caller in (world.sme, await world.member(world.sme.org_id, "developer")):
        with pytest.raises(Forbidden):
            await invite(world, caller)
    with pytest.raises(Forbidden):
        await invite(world, owner, world.platform.org_id)
    assert (await register(world, (await invite(world, approved=True))[1])).status == "active"


async def test_an_invitation_is_good_once_whoever_comes_first(world, database):
    _, token = await invite(world)
    found = await asyncio.gather(
        *[register(world, token) for _ in range(6)], return_exceptions=True
    )
    assert sum(not isinstance(each, Exception) for each in found) == 1
    assert all(
        not isinstance(e, Exception) or isinstance(e, (NotFound, Unavailable)) for e in found
    )
    assert len(told(world, judge(database.sql), "client.registered.v3")) == 1


async def test_unknown_used_expired_withdrawn_orphaned_are_one(world, database):
    answers = set()

    async def refused(token):
        with pytest.raises(NotFound) as caught:
            await register(world, token)
        answers.add((caught.value.code, caught.value.detail, caught.value.hint))

    await refused("dsi_" + "x" * 43)
    _, used = await invite(world)
    await register(world, used)
    await refused(used)
    withdrawn, token = await invite(world)
    for _ in range(2):  # again changes nothing
        await withdraw_client_invitation(*chain(world), world.operator, withdrawn.id)
    await refused(token)
    expired, token = await invite(world)
    database.sql("UPDATE client_invitations SET expires_ms = 1 WHERE id = ?", expired.id)
    await refused(token)
    for end in (demote, remove):
        owner = await world.member(world.sme.org_id, "owner")
        _, token = await invite(world, owner)
        await end(world, owner)
        await refused(token)
    _, token = await invite(world)
    await world.suspend(world.sme.org_id)
    await refused(token)
    assert len(answers) == 1
    assert len(told(world, judge(database.sql), "client.invitation_withdrawn.v1")) == 1


async def demote(world, owner):
    await set_member_roles(*chain(world), world.operator, owner.member_id, frozenset({"auditor"}))


async def remove(world, owner):
    await remove_member(*chain(world), world.operator, owner.member_id)


async def test_the_same_key_invites_once_and_open_ones_have_an_end(world, monkeypatch):
    made, token = await invite(world, idempotency_key="k")
    again, nothing = await invite(world, idempotency_key="k")
    assert (again.id, nothing) == (made.id, None)
    assert token is not None
    with pytest.raises(BadInput):
        await invite(world, idempotency_key="k", days=3)
    monkeypatch.setattr("exchange.participants.invite_client.MAX_OPEN", 2)
    second, _ = await invite(world)
    with pytest.raises(Conflict):
        await invite(world)
    await withdraw_client_invitation(*chain(world), world.operator, second.id)
    await invite(world)


async def test_a_used_invitation_cannot_be_withdrawn_nor_anothers(world):
    owner = await world.member(world.platform.org_id, "owner")
    made, token = await invite(world)
    with pytest.raises(NotFound):
        await withdraw_client_invitation(*chain(world), owner, made.id)
    await register(world, token)
    with pytest.raises(Conflict) as refused:
        await withdraw_client_invitation(*chain(world), world.operator, made.id)
    assert refused.value.code == "invitation_used"


async def test_a_secret_only_where_the_operator_allows_it(world, database):
    made = make_secret(world.parts.secret_key)
    legacy = Profile("client_secret_basic", secret_hash=made.hash)
    _, token = await invite(world)
    with pytest.raises(Forbidden):
        await register(world, token, legacy, jwks={"keys": []})
    _, token = await invite(world, may_have_secret=True, approved=True)
    client = await register(world, token, legacy, jwks={"keys": []})
    assert secret_fits(client, made.text, world.parts.secret_key)
    with pytest.raises(Forbidden) as refused:
        await register_client(
            *chain(world), world.sme, world.sme.org_id, name="a", jwks=JWKS, profile=legacy
        )
    assert refused.value.code == "secret_not_allowed"
    rows = str(database.sql("SELECT * FROM clients"))
    assert made.text not in rows
    judge(database.sql)
