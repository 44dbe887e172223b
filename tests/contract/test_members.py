"""Members of organisations: what each verb does to rows, leaves and scopes, on both databases."""

import asyncio
from dataclasses import replace

import pytest

from exchange.clock import DAY_MS
from exchange.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from exchange.participants.change_member import remove_member, set_member_roles
from exchange.participants.invite_member import accept_invitation, invite_member
from exchange.participants.model import MEMBER_SCOPES, SCOPES, scopes_of
from exchange.participants.register_client import disable_client, register_client
from tests.support.desk import JWKS, open_world
from tests.support.judge import judge


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


def chain(world):
    return world.parts.ledger, world.parts.participants


async def invite(world, by=None, org_id=None, roles=("developer",), key=None, name="Anna"):
    return await invite_member(
        *chain(world),
        by or world.operator,
        org_id or world.sme.org_id,
        name=name,
        roles=frozenset(roles),
        idempotency_key=key,
    )


async def accept(world, invitation, key=None, name="a"):
    return await accept_invitation(
        *chain(world), invitation=invitation, client_name=name, jwks=JWKS, idempotency_key=key
    )


async def register(world, caller, **more):
    return await register_client(*chain(world), caller, caller.org_id, name="b", jwks=JWKS, **more)


def test_a_persons_scopes_are_those_of_both_roles():
    platform, sme = frozenset({"platform"}), frozenset({"sme"})
    assert scopes_of(platform, frozenset({"approver"})) == {
        "participants",
        "catalog",
        "approvals",
        "grants",
        "holds",
    }
    assert "approvals" not in scopes_of(sme, frozenset({"approver"}))
    assert "offerings" not in scopes_of(platform, frozenset({"developer", "auditor"}))
    assert scopes_of(platform, frozenset()) == frozenset()
    for roles in SCOPES:  # no person may what no organisation of theirs may; programs are no people
        assert not scopes_of(frozenset({roles})) & {"approvals", "members"}
        for member in MEMBER_SCOPES:
            assert scopes_of(frozenset({roles}), frozenset({member})) <= SCOPES[roles]
            assert "operate" not in scopes_of(frozenset({roles}), frozenset({member}))


async def test_invited_joined_changed_removed(world, database):
    member, invitation = await invite(world)
    assert (member.status, member.name) == ("invited", "Anna")
    assert member.invitation_expires_ms - member.created_ms == 7 * DAY_MS
    assert all(invitation not in str(row) for row in database.sql("SELECT * FROM members"))
    joined, client = await accept(world, invitation)
    assert (joined.id, joined.status) == (member.id, "active")
    assert (client.member_id, client.org_id) == (member.id, world.sme.org_id)
    changed = await set_member_roles(
        *chain(world), world.operator, member.id, frozenset({"auditor", "owner"})
    )
    assert changed.roles == {"auditor", "owner"}
    removed = await remove_member(*chain(world), world.operator, member.id)
    assert (removed.status, removed.name) == ("removed", None)
    gone = await world.parts.participants.client(client.id)
    assert (gone.status, gone.name) == ("disabled", "")
    log = judge(database.sql)
    kinds = [event["type"].removeprefix("exchange.") for event in log.events]
    assert kinds[-6:] == [
        "member.invited.v1",
        "member.joined.v1",
        "client.registered.v2",
        "member.roles_changed.v1",
        "member.removed.v1",
        "client.disabled.v1",
    ]


async def test_doing_it_again_changes_nothing(world):
    anna = await world.member(world.sme.org_id, "developer")
    size = await world.parts.ledger.size()
    await set_member_roles(*chain(world), world.operator, anna.member_id, frozenset({"developer"}))
    assert await world.parts.ledger.size() == size
    await remove_member(*chain(world), world.operator, anna.member_id)
    await remove_member(*chain(world), world.operator, anna.member_id)
    assert await world.parts.ledger.size() == size + 2
    with pytest.raises(Conflict) as refused:
        await set_member_roles(*chain(world), world.operator, anna.member_id, frozenset({"owner"}))
    assert refused.value.code == "member_removed"


async def test_the_same_key_invites_and_joins_once(world):
    member, invitation = await invite(world, key="k")
    again, nothing = await invite(world, key="k")
    assert (again.id, nothing) == (member.id, None)
    with pytest.raises(BadInput):
        await invite(world, key="k", name="Bela")
    answers = await asyncio.gather(*[accept(world, invitation, key="j") for _ in range(4)])
    assert len({client.id for _, client in answers}) == 1
    assert (await accept(world, invitation, key="j"))[1].id == answers[0][1].id
    with pytest.raises(BadInput):
        await accept(world, invitation, key="j", name="another")
    with pytest.raises(NotFound):
        await accept(world, invitation, key="another")


async def test_an_invitation_lets_one_join_who_comes_first(world, database):
    _, invitation = await invite(world)
    found = await asyncio.gather(
        *[accept(world, invitation) for _ in range(6)], return_exceptions=True
    )
    assert sum(isinstance(each, tuple) for each in found) == 1
    assert all(isinstance(each, (tuple, NotFound, Unavailable)) for each in found)
    judge(database.sql)


async def test_unknown_used_expired_and_withdrawn_invitations_are_one(world, database):
    answers = set()

    async def refused(invitation):
        with pytest.raises(NotFound) as caught:
            await accept(world, invitation)
        answers.add((caught.value.code, caught.value.detail, caught.value.hint))

    await refused("x" * 43)
    _, used = await invite(world)
    await accept(world, used)
    await refused(used)
    withdrawn, secret = await invite(world)
    await remove_member(*chain(world), world.operator, withdrawn.id)
    await refused(secret)
    expired, secret = await invite(world)
    database.sql("UPDATE members SET invitation_expires_ms = 1 WHERE id = ?", expired.id)
    await refused(secret)
    _, suspended = await invite(world)
    await world.suspend(world.sme.org_id)
    await refused(suspended)
    assert len(answers) == 1


async def test_an_owner_manages_its_own_and_stays_the_last(world, database):
    owner = await world.member(world.sme.org_id, "owner")
    anna = await world.member(world.sme.org_id, "developer", by=owner)
    for act in (
        lambda: set_member_roles(*chain(world), owner, owner.member_id, frozenset({"auditor"})),
        lambda: remove_member(*chain(world), owner, owner.member_id),
    ):
        with pytest.raises(Conflict) as refused:
            await act()
        assert refused.value.code == "last_owner"
    await set_member_roles(*chain(world), owner, anna.member_id, frozenset({"owner"}))
    await remove_member(*chain(world), owner, owner.member_id)
    # The operator may take the last one away.
    await remove_member(*chain(world), world.operator, anna.member_id)
    judge(database.sql)


@pytest.mark.parametrize("turn", range(5))
async def test_two_owners_who_leave_at_once_do_not_both(world, database, turn):
    first = await world.member(world.sme.org_id, "owner")
    second = await world.member(world.sme.org_id, "owner")
    acts = [
        remove_member(*chain(world), who, who.member_id)
        if turn % 2
        else set_member_roles(*chain(world), who, who.member_id, frozenset({"auditor"}))
        for who in (first, second)
    ]
    found = await asyncio.gather(*acts, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in found) == 1, found
    members = await world.parts.participants.list_members(world.sme.org_id)
    assert sum(m.status == "active" and "owner" in m.roles for m in members) == 1
    judge(database.sql)


async def test_a_member_registers_clients_of_their_own_and_an_owner_programs(world, database):
    owner = await world.member(world.sme.org_id, "owner")
    anna = await world.member(world.sme.org_id, "developer")
    mine = await register(world, anna)
    assert mine.member_id == anna.member_id
    assert (await register(world, owner, program=True)).member_id is None
    with pytest.raises(Forbidden):
        await register(world, await again(world, anna), program=True)
    assert (await register(world, world.sme)).member_id is None
    with pytest.raises(Forbidden):  # not another's
        await disable_client(*chain(world), await again(world, anna), owner.client_id)
    await disable_client(*chain(world), await again(world, anna), mine.id)
    judge(database.sql)


async def test_a_client_registered_while_its_person_is_removed_is_disabled_too(world, database):
    for _ in range(8):
        anna = await world.member(world.sme.org_id, "developer")
        await asyncio.gather(
            register(world, anna),
            remove_member(*chain(world), world.operator, anna.member_id),
            return_exceptions=True,
        )
        clients = await world.parts.participants.list_clients(world.sme.org_id)
        assert {c.status for c in clients if c.member_id == anna.member_id} == {"disabled"}
    judge(database.sql)


async def again(world, caller):
    """The caller, authenticated anew: their record has changed."""
    member = await world.parts.participants.member(caller.member_id)
    return replace(caller, member_rev=member.rev, member_roles=member.roles)
