"""Holds on both databases: any open one suspends, whoever placed it lifts it, each is a leaf."""

import asyncio

import pytest

from connectors.gateway.door import DoorRefused, Use
from exchange.access.authorize_grant import authorize_grant
from exchange.access.holds_store import HoldsStore
from exchange.access.place_hold import place_hold
from exchange.catalog.publish_offering import draft_offering, publish_offering
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden, NotFound
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.mounted_gateway import MountedDoor
from exchange.participants.register_organisation import commitment
from tests.support.desk import ATTRIBUTES, open_world
from tests.support.judge import judge

TARGETS = {
    "grant": lambda grant: grant.id,
    "offering": lambda grant: grant.offering_id,
    "consumer": lambda grant: grant.consumer_id,
    "provider": lambda grant: grant.provider_id,
}


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


def use_of(grant, version="v1"):
    return Use(grant.id, grant.client_id, "data.bin", version, "GET", 0, 9, grant.rev)


async def state(world, grant):
    return (await world.parts.store.grant(grant.id)).state(now_ms())


async def token(world, grant):
    people = world.parts.participants
    client = await people.client(grant.client_id)
    consumer = await people.organisation(grant.consumer_id)
    return await authorize_grant(world.parts.desk, client, consumer, grant.id)


@pytest.mark.parametrize("on", TARGETS)
async def test_a_hold_suspends_until_it_is_lifted(database, world, on):
    grant = (await world.ask()).grant
    other = (await world.ask(purpose="scientific_research")).grant
    door = MountedDoor(world.parts.desk, world.parts.watchers, 15)
    await door.record(use_of(grant))
    hold = await world.suspend(TARGETS[on](grant), reason="security_incident", text="Keys leaked.")
    assert await state(world, grant) == "suspended"
    assert (await state(world, other) == "suspended") == (on != "grant")
    assert (await door.look_up(grant.id)).status == "suspended"
    for version in ("v1", "v2"):
        with pytest.raises(DoorRefused) as refused:
            await door.record(use_of(await world.parts.store.grant(grant.id), version))
        assert refused.value.code == "grant_suspended"
    if on != "consumer":  # whose clients the token endpoint refuses before it asks
        with pytest.raises(Conflict) as conflict:
            await token(world, grant)
        assert conflict.value.code == "grant_suspended"
    assert [each.id for each in (await suspending(world, grant))] == [hold.id]
    judge(database.sql)
    await world.lift(hold.id)
    assert await state(world, grant) == "active"
    assert await suspending(world, grant) == []
    assert await token(world, grant)
    grant = await world.parts.store.grant(grant.id)
    await door.record(use_of(grant))
    assert len(database.sql("SELECT id FROM uses")) == 2
    judge(database.sql)


async def suspending(world, grant):
    grant = await world.parts.store.grant(grant.id)
    found = await HoldsStore(world.parts.ledger).suspending([grant])
    return found.get(grant.id, [])


@pytest.mark.parametrize("on", ["offering", "consumer", "provider"])
async def test_nothing_is_granted_under_a_hold(database, world, on):
    grant = (await world.ask()).grant
    hold = await world.suspend(TARGETS[on](grant))
    denied = await world.ask(purpose="scientific_research")
    reason = "offering_not_published" if on == "offering" else f"{on}_not_active"
    assert (denied.status, [each.code for each in denied.reasons]) == ("denied", [reason])
    assert denied.reasons[0].params == {"status": "suspended"}
    again = await world.ask()  # what was granted answers still, and is no new grant
    assert (again.grant.id, again.grant.state(now_ms())) == (grant.id, "suspended")
    await world.lift(hold.id)
    assert (await world.ask(purpose="scientific_research")).status == "permitted"
    judge(database.sql)


@pytest.mark.parametrize("on", ["offering", "consumer", "provider"])
async def test_a_request_waits_on_under_a_hold(database, world, on):
    """What is suspended for now refuses nothing for good."""
    anna = await world.member(world.platform.org_id, "approver")
    world.offering = await world.publish(approval="provider")
    asked = await world.ask()
    target = {"offering": world.offering.id, "consumer": world.sme.org_id}
    hold = await world.suspend(target.get(on, world.platform.org_id))
    with pytest.raises(Conflict) as refused:
        await world.approve(asked.request_id, anna)
    assert refused.value.code == "held_for_now"
    held = await world.parts.store.held(asked.request_id, world.operator)
    assert (held.status, held.approvals) == ("pending_approval", [])
    await world.lift(hold.id)
    assert (await world.approve(asked.request_id, anna)).answer.status == "approved"
    judge(database.sql)


async def test_all_holds_must_be_lifted(database, world):
    grant = (await world.ask()).grant
    holds = [
        await world.suspend(grant.id, world.platform, "unpaid"),
        await world.suspend(grant.id, world.operator, "under_investigation"),
        await world.suspend(grant.offering_id, world.platform),
    ]
    assert {each.id for each in await suspending(world, grant)} == {each.id for each in holds}
    for hold in holds:
        assert await state(world, grant) == "suspended"
        await world.lift(hold.id)
        judge(database.sql)
    assert await state(world, grant) == "active"


async def test_a_hold_and_its_lifting_are_leaves_that_commit_to_their_texts(database, world):
    grant = (await world.ask()).grant
    held = await place_hold(world.parts.desk, world.platform, grant.id, "unpaid", "三月 unpaid")
    verifier = Verifier.parse(world.parts.ledger.verifier_key)
    event = receipts.verify(held.receipt, verifier).event
    assert (event["type"], event["subject"]) == ("exchange.hold.placed.v1", grant.id)
    assert event["data"]["text_commitment"] == commitment(held.hold.salt, "三月 unpaid")
    assert (event["data"]["by"], event["data"]["reason"]) == (world.platform.client_id, "unpaid")
    size = await world.parts.ledger.size()
    lifted = await world.lift(held.hold.id, world.platform, text="Paid.")
    assert (lifted.lift_text, lifted.lifted_by) == ("Paid.", "platform")
    assert await world.lift(held.hold.id, world.platform, text="Again.") == lifted
    assert await world.parts.ledger.size() == size + 1
    data = judge(database.sql).of("hold.lifted.v1")[0]
    assert data["text_commitment"] == commitment(lifted.lift_salt, "Paid.")
    entries = b"".join(bytes(row[0]) for row in database.sql("SELECT entry FROM entries"))
    assert "三月".encode() not in entries
    assert b"Paid." not in entries


async def test_an_idempotency_key_is_one_hold(database, world):
    grant = (await world.ask()).grant
    holds = await asyncio.gather(*(world.suspend(grant.id, key="k") for _ in range(8)))
    assert len({hold.id for hold in holds}) == 1
    assert (await world.parts.store.grant(grant.id)).holds == 1
    assert judge(database.sql).count("hold.placed.v1") == 1


async def test_who_may_place_and_lift(world):
    grant = (await world.ask()).grant
    rival, stranger = await world.join("platform"), await world.join("sme", ATTRIBUTES)
    for target in TARGETS.values():
        for caller in (world.sme, stranger, rival):
            with pytest.raises((Forbidden, NotFound)):
                await world.suspend(target(grant), caller)
    for org_id in (world.sme.org_id, world.platform.org_id, rival.org_id):
        with pytest.raises((Forbidden, NotFound)):
            await world.suspend(org_id, world.platform)
    by_platform = await world.suspend(grant.id, world.platform)
    by_operator = await world.suspend(grant.id)
    assert (by_platform.placed_by, by_operator.placed_by) == ("platform", "operator")
    for caller in (world.sme, stranger, rival):
        with pytest.raises((Forbidden, NotFound)):
            await world.lift(by_platform.id, caller)
    with pytest.raises(Forbidden) as refused:
        await world.lift(by_operator.id, world.platform)
    assert "the operator" in refused.value.detail
    assert not (await world.lift(by_platform.id, world.platform)).is_open
    assert not (await world.lift(by_operator.id)).is_open


async def test_what_cannot_be_held(database, world):
    grant = (await world.ask()).grant
    await world.revoke(grant.id)
    for target, code in (
        (grant.id, "grant_revoked"),
        (world.operator.org_id, "operator_not_held"),
        ((await draft(world)).id, "offering_not_published"),
    ):
        with pytest.raises(Conflict) as refused:
            await world.suspend(target)
        assert refused.value.code == code
    with pytest.raises(NotFound):
        await world.suspend("grt_" + world.parts.ledger.log_id + "_" + "0" * 26)
    assert judge(database.sql).count("hold.placed.v1") == 0


async def draft(world):
    parts = world.parts
    return await draft_offering(parts.ledger, parts.catalog, world.platform, world.offering.terms)


async def test_a_suspended_grant_is_revoked_and_its_holds_lifted_without_return(database, world):
    grant = (await world.ask()).grant
    hold = await world.suspend(grant.id, world.platform)
    assert (await world.revoke(grant.id))[0].state(now_ms()) == "revoked"
    await world.lift(hold.id)
    assert await state(world, grant) == "revoked"
    assert (await world.ask()).grant.id != grant.id
    judge(database.sql)


async def test_a_held_offering_is_withdrawn_but_not_published(database, world):
    parts, hold = world.parts, await world.suspend(world.offering.id)
    held = await parts.catalog.offering(world.offering.id)
    assert (held.status, held.standing) == ("published", "suspended")
    with pytest.raises(Conflict) as refused:
        await world.revise(max_days=7)
    assert refused.value.code == "offering_suspended"
    with pytest.raises(Conflict):
        await publish_offering(
            parts.ledger, parts.catalog, parts.participants, world.sources, world.platform, held.id
        )
    assert (await world.withdraw()).standing == "withdrawn"
    assert (await world.lift(hold.id)).lifted_by == "operator"
    assert judge(database.sql).count("offering.published.v1") == 1


async def test_whom_a_hold_concerns_reads_it(world):
    grant = (await world.ask()).grant
    on = {name: (await world.suspend(target(grant))).id for name, target in TARGETS.items()}
    store = HoldsStore(world.parts.ledger)
    stranger, auditor = await world.join("sme"), await world.join("auditor")
    for caller, sees in (
        (world.sme, {"grant", "consumer"}),
        (world.platform, {"grant", "offering", "provider"}),
        (world.operator, set(on)),
        (auditor, set(on)),
        (stranger, set()),
    ):
        found = await store.holds(caller, None, 9)
        assert [each.id for each in found] == sorted((on[name] for name in sees), reverse=True)
        for name, hold_id in on.items():
            if name in sees:
                assert (await store.hold_for(hold_id, caller)).id == hold_id
            else:
                with pytest.raises(NotFound):
                    await store.hold_for(hold_id, caller)
    await world.lift(on["grant"])
    only = await store.holds(world.operator, None, 9, target_id=grant.id, is_open=True)
    assert only == []
    assert len(await store.holds(world.operator, None, 9, is_open=False)) == 1


async def test_grants_are_listed_by_what_they_count_as(world):
    kept = (await world.ask()).grant
    held = (await world.ask(purpose="scientific_research")).grant
    await world.suspend(held.id)
    store = world.parts.store

    async def listed(status):
        return [each.id for each in await store.grants(world.sme, None, 9, status=status)]

    assert (await listed("active"), await listed("suspended")) == ([kept.id], [held.id])
    await world.suspend(world.platform.org_id)
    assert (await listed("active"), await listed("suspended")) == ([], [held.id, kept.id])
    await world.revoke(held.id)
    assert (await listed("suspended"), await listed("revoked")) == ([kept.id], [held.id])
