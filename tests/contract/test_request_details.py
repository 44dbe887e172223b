"""What is asked, on both databases: a request answers and is approved for what it says, no more."""

import pytest

from exchange.catalog.form import FormField
from exchange.errors import Conflict
from tests.support.desk import open_world
from tests.support.judge import judge

FORM = (FormField("use", "text", "Use", "用途", required=True),)


@pytest.fixture
async def world(exchange):
    world = await open_world(exchange)
    world.offering = await world.publish(approval="provider", approvers=2)
    world.anna, world.bo = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    return world


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
