"""Renewals on both databases: the same grant with a later end, once what is asked for allows it."""

import pytest

from exchange.access.store import GRANTS
from exchange.clock import DAY_MS, now_ms
from exchange.errors import Conflict, NotFound
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.ledger.write import Update, Write
from tests.support.desk import open_world
from tests.support.judge import judge


@pytest.fixture
async def world(exchange):
    world = await open_world(exchange)
    world.offering = await world.publish(approval="provider", approvers=2)
    world.anna, world.bo = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    return world


def event(world, receipt):
    verifier = Verifier.parse(world.parts.ledger.verifier_key)
    return receipts.verify(receipt, verifier).event


async def test_a_renewal_is_the_same_grant_with_a_later_end(database, world):
    world.offering = await world.publish()
    first = await world.ask()
    done = await world.renew(first.grant.id, 60, key="k")
    assert (done.status, done.renews) == ("permitted", first.grant.id)
    assert event(world, done.receipt)["type"] == "exchange.grant.renewed.v1"
    held = await world.parts.store.grant(first.grant.id)
    assert done.grant == held
    assert (held.renewals, held.status_index) == (1, first.grant.status_index)
    assert held.ends_ms > first.grant.ends_ms + 29 * DAY_MS
    again = await world.renew(first.grant.id, 60, key="k")
    assert again.request_id == done.request_id
    assert (await world.ask()).grant.id == first.grant.id
    with pytest.raises(Conflict) as refused:
        await world.renew(first.grant.id, 30)
    assert refused.value.code == "renewal_shortens"
    denied = await world.renew(first.grant.id, 91)
    assert denied.status == "denied"
    assert (await world.parts.store.grant(first.grant.id)).ends_ms == held.ends_ms
    assert judge(database.sql).count("grant.renewed.v1") == 1


async def test_a_renewal_brings_no_version_that_is_shown_to_others_only(database, world):
    world.offering = await world.publish(audience=(world.sme.org_id,))
    grant = (await world.ask(days=7)).grant
    other = await world.join("sme")
    await world.revise(audience=(other.org_id,))
    with pytest.raises(Conflict) as refused:
        await world.renew(grant.id, 60)
    assert refused.value.code == "renewal_closed"
    assert await world.parts.store.grant(grant.id) == grant
    judge(database.sql)


async def test_a_renewal_that_needs_approval_waits_and_prolongs_when_approved(database, world):
    asked = await world.ask()
    for person in (world.anna, world.bo):
        grant = (await world.approve(asked.request_id, person)).answer.grant
    waiting = await world.renew(grant.id, 80)
    assert waiting.status == "pending_approval"
    assert (await world.renew(grant.id, 80)).request_id == waiting.request_id
    for person in (world.anna, world.bo):
        done = await world.approve(waiting.request_id, person)
    assert done.answer.status == "approved"
    assert event(world, done.receipt)["type"] == "exchange.grant.renewed.v1"
    held = await world.parts.store.grant(grant.id)
    assert held.ends_ms > grant.ends_ms
    judge(database.sql)


@pytest.mark.parametrize("state", ["revoked", "ended"])
async def test_what_is_over_is_not_renewed(world, state):
    world.offering = await world.publish()
    grant = (await world.ask()).grant
    if state == "revoked":
        await world.revoke(grant.id)
    else:
        update = Update(GRANTS, grant.id, grant.rev, {"ends_ms": now_ms() - 1})
        await world.parts.ledger.commit(Write(updates=[update]))
    with pytest.raises(Conflict) as refused:
        await world.renew(grant.id, 90)
    assert refused.value.code == f"grant_{state}"
    stranger = await world.join("sme")
    with pytest.raises(NotFound):
        await world.renew(grant.id, 90, caller=stranger)
