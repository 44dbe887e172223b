"""Renewals on both databases: the same grant with a later end, once what is asked for allows it."""

from dataclasses import replace

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


async def granted(world, days=10):
    asked = await world.ask(days=days)
    for person in (world.anna, world.bo):
        done = await world.approve(asked.request_id, person)
    return done.answer.grant


async def approved(world, request_id):
    for person in (world.anna, world.bo):
        done = await world.approve(request_id, person)
    return done.answer


@pytest.mark.parametrize("newer", ["version", "end"])
async def test_an_old_renewal_takes_nothing_back(database, world, newer):
    """Rejected, overtaken by another, appealed: the grant keeps its end and its version."""
    grant = await granted(world)
    old = await world.renew(grant.id, 20 if newer == "end" else 80)
    await world.act("reject", old.request_id, world.anna, "No.")
    if newer == "version":
        await world.revise(max_days=60)
    await approved(world, (await world.renew(grant.id, 50)).request_id)
    held = await world.parts.store.grant(grant.id)
    code = "renewal_shortens" if newer == "end" else "renewal_outdated"
    with pytest.raises(Conflict) as refused:
        await world.act("appeal", old.request_id, world.sme, "Please.")
    assert refused.value.code == code
    assert await world.parts.store.grant(grant.id) == held
    judge(database.sql)


@pytest.mark.parametrize("newer", ["version", "end"])
async def test_an_old_renewal_that_waits_is_not_approved_over_a_newer_one(database, world, newer):
    grant = await granted(world)
    old = await world.renew(grant.id, 20 if newer == "end" else 80)
    await world.revise(max_days=60)
    await approved(world, (await world.renew(grant.id, 50)).request_id)
    if newer == "end":  # as if it were of the same version
        sql = "UPDATE access_requests SET offering_version = 2 WHERE id = ?"
        database.sql(sql, old.request_id)
    held = await world.parts.store.grant(grant.id)
    await world.approve(old.request_id, world.anna)
    with pytest.raises(Conflict) as refused:
        await world.approve(old.request_id, world.bo)
    assert refused.value.code == ("renewal_shortens" if newer == "end" else "renewal_outdated")
    assert await world.parts.store.grant(grant.id) == held
    await world.act("withdraw", old.request_id, world.sme, "It is settled.")


async def test_a_renewal_that_waits_makes_no_grant_of_a_revoked_one(database, world):
    grant = await granted(world)
    waiting = await world.renew(grant.id, 80)
    await world.approve(waiting.request_id, world.anna)
    await world.revoke(grant.id)
    with pytest.raises(Conflict) as refused:
        await world.approve(waiting.request_id, world.bo)
    assert refused.value.code == "grant_revoked"
    await world.act("reject", waiting.request_id, world.bo, "It was revoked.")
    done = await world.act("appeal", waiting.request_id, world.sme, "We kept to the terms.")
    assert done.answer.status == "rejected"  # on record: nothing pends that cannot be approved
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_a_renewal_of_an_ended_grant_that_is_denied_still_names_it(database, world):
    grant = await granted(world)
    waiting = await world.renew(grant.id, 80)
    await world.approve(waiting.request_id, world.anna)
    update = Update(GRANTS, grant.id, grant.rev, {"ends_ms": now_ms() - 1})
    await world.parts.ledger.commit(Write(updates=[update]))
    await world.set_attribute(world.sme.org_id, "jurisdiction", "US")
    done = await world.approve(waiting.request_id, world.bo)
    assert (done.answer.status, done.answer.grant.id) == ("denied", grant.id)
    judge(database.sql, {grant.id})


async def test_an_appeal_beside_another_renewal_that_waits_is_told_of_that(world):
    grant = await granted(world)
    old = await world.renew(grant.id, 80)
    await world.act("reject", old.request_id, world.anna, "No.")
    await world.renew(grant.id, 70)
    with pytest.raises(Conflict) as refused:
        await world.act("appeal", old.request_id, world.sme, "Please.")
    assert refused.value.code == "asked_anew"


async def test_a_renewal_that_waits_does_not_answer_for_other_terms(database, world):
    grant = await granted(world)
    waiting = await world.renew(grant.id, 20)
    with pytest.raises(Conflict) as refused:
        await world.renew(grant.id, 50)
    assert refused.value.code == "asked_already"
    assert refused.value.members == {
        "access_request_id": waiting.request_id,
        "differs": ["days"],
    }
    changed = await world.revise(terms_en="Do no harm.", terms_zh="勿害。")
    digest = changed.terms.terms_digest
    anew = await world.renew(grant.id, 50, accepted_terms=digest)
    assert anew.request_id != waiting.request_id
    assert (anew.ask.accepted_terms, anew.offering_version) == (digest, 2)
    again = await world.renew(grant.id, 50, accepted_terms=digest)
    assert again.request_id == anew.request_id
    judge(database.sql)


async def test_the_grant_of_a_client_that_is_gone_says_who_may_ask_anew(world):
    world.offering = await world.publish()
    grant = (await world.ask()).grant
    await world.disable(grant.client_id)
    other = await world.parts.participants.client((await world.client(world.sme.org_id)).id)
    with pytest.raises(Conflict) as refused:
        await world.renew(grant.id, caller=replace(world.sme, client_id=other.id))
    assert refused.value.code == "client_disabled"
    assert "asks anew" in refused.value.hint
