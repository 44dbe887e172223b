"""What is asked, on both databases: a request answers and is approved for what it says, no more."""

import pytest

from exchange.catalog.form import FormField
from exchange.errors import Conflict
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from tests.support.desk import open_world
from tests.support.judge import judge

FORM = (FormField("use", "text", "Use", "用途", required=True),)


@pytest.fixture
async def world(exchange):
    world = await open_world(exchange)
    world.offering = await world.publish(approval="provider", approvers=2)
    world.anna, world.bo = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    return world


def event(world, receipt):
    verifier = Verifier.parse(world.parts.ledger.verifier_key)
    return receipts.verify(receipt, verifier).event


async def test_approvals_count_for_the_form_that_they_saw(database, world):
    world.offering = await world.publish(approval="provider", approvers=2, form=FORM)
    asked = await world.ask(form={"use": "statistics only"})
    await world.approve(asked.request_id, world.anna)
    await world.act("ask", asked.request_id, world.bo, "For whom?")
    same = {"use": "statistics only"}
    kept = await world.act("answer", asked.request_id, world.sme, "For us.", form=same)
    assert len(kept.answer.approvals) == 1
    assert event(world, kept.receipt)["data"]["form_commitment"] is None
    await world.act("ask", asked.request_id, world.bo, "For whom else?")
    other = {"use": "resell to third parties"}
    said = await world.act("answer", asked.request_id, world.sme, "Others.", form=other)
    assert not said.answer.approvals
    assert event(world, said.receipt)["data"]["form_commitment"] is not None
    alone = await world.approve(asked.request_id, world.bo)
    assert (alone.answer.status, len(alone.answer.approvals)) == ("pending_approval", 1)
    done = await world.approve(asked.request_id, world.anna)
    assert (done.answer.status, done.answer.ask.form) == ("approved", other)
    steps = await world.parts.store.steps(asked.request_id)
    changes = [(s.kind, s.form_changed) for s in steps if s.kind == "answered"]
    assert changes == [("answered", False), ("answered", True)]
    judge(database.sql)


async def test_only_the_form_that_was_read_is_approved(database, world):
    world.offering = await world.publish(approval="provider", form=FORM)
    asked = await world.ask(form={"use": "statistics only"})
    read = asked.ask.form_digest
    await world.act("ask", asked.request_id, world.bo, "For whom?")
    other = {"use": "resell to third parties"}
    said = await world.act("answer", asked.request_id, world.sme, "Others.", form=other)
    for _ in range(2):  # a key does not make a refusal an outcome
        with pytest.raises(Conflict) as refused:
            await world.approve(asked.request_id, world.anna, read=read, key="k")
        assert refused.value.code == "form_changed"
    now = said.answer.ask.form_digest
    assert now != read
    done = await world.approve(asked.request_id, world.anna, read=now)
    assert (done.answer.status, done.answer.ask.form) == ("approved", other)
    judge(database.sql)


async def test_a_form_that_changes_while_it_is_approved_is_not(database, world, monkeypatch):
    """The answer commits after the approval was built and before it commits."""
    world.offering = await world.publish(approval="provider", form=FORM)
    asked = await world.ask(form={"use": "statistics only"})
    await world.act("ask", asked.request_id, world.bo, "For whom?")
    commit, answered = world.parts.ledger.commit, []

    async def later(write):
        if not answered:
            answered.append(True)
            await world.act(
                "answer", asked.request_id, world.sme, "Others.", form={"use": "resale"}
            )
        return await commit(write)

    monkeypatch.setattr(world.parts.ledger, "commit", later)
    with pytest.raises(Conflict) as refused:
        await world.approve(asked.request_id, world.anna, read=asked.ask.form_digest)
    assert refused.value.code == "form_changed"
    judge(database.sql)


async def test_what_waits_does_not_answer_for_another_form(database, world):
    world.offering = await world.publish(approval="provider", form=FORM)
    asked = await world.ask(form={"use": "statistics"})
    assert (await world.ask(form={"use": "statistics"})).request_id == asked.request_id
    with pytest.raises(Conflict) as refused:
        await world.ask(form={"use": "resale"}, days=60)
    assert refused.value.code == "asked_already"
    assert refused.value.members == {
        "access_request_id": asked.request_id,
        "differs": ["days", "form"],
    }
    await world.act("withdraw", asked.request_id, world.sme)
    assert (await world.ask(form={"use": "resale"}, days=60)).request_id != asked.request_id
    judge(database.sql)


async def test_nobody_is_talked_out_of_settling(monkeypatch, world):
    monkeypatch.setattr("exchange.access.act_on_request.MAX_STEPS", 3)
    asked = await world.ask()
    for _ in range(3):
        await world.act("comment", asked.request_id, world.sme, "Hello?")
    with pytest.raises(Conflict) as refused:
        await world.act("comment", asked.request_id, world.sme, "Hello?")
    assert refused.value.code == "too_many_comments"
    await world.act("comment", asked.request_id, world.anna, "Patience.")
    for _ in range(3):
        await world.act("ask", asked.request_id, world.anna, "Why?")
        await world.act("answer", asked.request_id, world.sme, "So.")
    with pytest.raises(Conflict) as refused:
        await world.act("ask", asked.request_id, world.anna, "Why?")
    assert refused.value.code == "too_many_steps"
    await world.act("reject", asked.request_id, world.bo, "Enough.")
    again = await world.ask()
    await world.act("withdraw", again.request_id, world.sme, "Enough.")
