"""The same idempotency key gives the first outcome on both databases, whatever came since: in turn,
four at once, and after the state has moved on. One effect, one leaf."""

import asyncio
from dataclasses import replace

import pytest

from exchange.catalog.publish_offering import publish_offering, revise_offering, withdraw_offering
from exchange.errors import BadInput, Conflict, NotFound
from tests.support.desk import open_world
from tests.support.judge import judge


@pytest.fixture
async def world(exchange):
    world = await open_world(exchange)
    world.offering = await world.publish(approval="provider", approvers=2)
    world.anna, world.bo = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    return world


def publishing(world, key=None):
    parts = world.parts
    return publish_offering(
        *(parts.ledger, parts.catalog, parts.participants, world.sources, world.platform),
        world.offering.id,
        key,
    )


def revising(world, key, **terms):
    parts, wanted = world.parts, replace(world.offering.terms, **terms)
    chain = (parts.ledger, parts.catalog, world.sources, world.platform, world.offering.id)
    return revise_offering(*chain, wanted, idempotency_key=key)


async def test_publishing_with_one_key_makes_one_version(database, world):
    before = judge(database.sql).count("offering.published.v1")
    first = await publishing(world, "p")
    assert (first.version, (await publishing(world, "p")).version) == (2, 2)
    at_once = await asyncio.gather(*(publishing(world, "q") for _ in range(4)))
    assert {each.version for each in at_once} == {3}
    assert judge(database.sql).count("offering.published.v1") == before + 2
    await revising(world, None, max_days=5)
    parts = world.parts
    await withdraw_offering(parts.ledger, parts.catalog, world.platform, world.offering.id)
    again = await publishing(world, "p")
    assert (again.version, again.terms) == (2, first.terms)
    with pytest.raises(BadInput) as refused:
        await revising(world, "p", max_days=7)
    assert refused.value.code == "idempotency_key_reused"


async def test_new_terms_with_one_key_are_one_version(database, world):
    before = judge(database.sql).count("offering.published.v1")
    at_once = await asyncio.gather(*(revising(world, "r", max_days=5) for _ in range(4)))
    assert {each.version for each in at_once} == {2}
    await revising(world, None, max_days=6)
    again = await revising(world, "r", max_days=5)
    assert (again.version, again.terms.max_days) == (2, 5)
    assert judge(database.sql).count("offering.published.v1") == before + 2


ACTS = {
    "reject": ("anna", None, "rejected"),
    "ask": ("anna", None, "questioned"),
    "answer": ("sme", "ask", "answered"),
    "comment": ("sme", None, "commented"),
    "withdraw": ("sme", None, "withdrawn"),
    "appeal": ("sme", "reject", "appealed"),
}


@pytest.mark.parametrize("act", ACTS)
async def test_an_act_with_one_key_is_done_once(database, world, act):
    by, before, kind = ACTS[act]
    who = getattr(world, by)
    asked = await world.ask()
    if before is not None:
        await world.act(before, asked.request_id, world.anna, "Why?")
    calls = (world.act(act, asked.request_id, who, "So.", key="k") for _ in range(4))
    for done in await asyncio.gather(*calls):
        assert done.answer.request_id == asked.request_id
    assert judge(database.sql).count(f"request.{kind}.v1") == 1
    now = await world.parts.store.held(asked.request_id, world.operator)
    if now.status == "pending_approval":
        await world.act("withdraw", asked.request_id, world.sme, "No.")
    settled = await world.act(act, asked.request_id, who, "So.", key="k")
    assert (settled.answer.status != "pending_approval", settled.receipt) == (True, None)
    judged = judge(database.sql)
    assert judged.count(f"request.{kind}.v1") == 1
    with pytest.raises(Conflict):
        await world.act(act, asked.request_id, who, "So.", key="another")


async def test_an_approval_with_one_key_is_given_once(database, world):
    asked = await world.ask()
    for person in (world.anna, world.bo):
        calls = (world.approve(asked.request_id, person, key="k") for _ in range(4))
        await asyncio.gather(*calls)
    again = await world.approve(asked.request_id, world.anna, key="k")
    assert again.answer.status == "approved"
    await world.revoke(again.answer.grant.id)
    assert (await world.approve(asked.request_id, world.bo, key="k")).receipt is None
    judged = judge(database.sql)
    assert (judged.count("request.approved.v1"), judged.count("grant.activated.v1")) == (2, 1)


@pytest.mark.parametrize("since", ["terms", "withdrawn", "hidden"])
async def test_asking_again_after_the_offering_changed(database, world, since):
    asked = await world.ask(key="k")
    if since == "terms":
        await world.revise(terms_en="Do no harm.", terms_zh="勿害。")
    elif since == "hidden":
        await world.revise(audience=(world.platform.org_id,))
    else:
        await world.withdraw()
    assert (await world.ask(key="k")).request_id == asked.request_id
    if since != "withdrawn":
        with pytest.raises((Conflict, NotFound)) as refused:
            await world.ask(key="another")
        assert refused.value.code in ("terms_not_accepted", "offering_unknown")
    assert judge(database.sql).count("decision.needs_approval.v1") == 1


async def test_placing_a_hold_again_after_the_grant_was_revoked(database, world):
    world.offering = await world.publish()
    grant = (await world.ask()).grant
    held = await world.suspend(grant.id, world.platform, key="k")
    await world.revoke(grant.id)
    again = await world.suspend(grant.id, world.platform, key="k")
    assert again.id == held.id
    assert judge(database.sql).count("hold.placed.v1") == 1


async def test_renewing_again_after_the_grant_was_revoked(database, world):
    world.offering = await world.publish()
    grant = (await world.ask()).grant
    renewals = await asyncio.gather(*(world.renew(grant.id, 60, key="k") for _ in range(4)))
    assert len({each.request_id for each in renewals}) == 1
    await world.revoke(grant.id)
    assert (await world.renew(grant.id, 60, key="k")).request_id == renewals[0].request_id
    assert judge(database.sql).count("grant.renewed.v1") == 1
