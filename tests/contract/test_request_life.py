"""A request's whole life on both databases: each step a leaf, each state what its leaves say."""

from dataclasses import replace

import pytest
from sqlalchemy.event import listen

from exchange.access.acts import NEVER_MS
from exchange.access.authorize_grant import authorize_grant
from exchange.access.chase_requests import chase_requests
from exchange.access.explain_access import Supposed, explain_access
from exchange.access.model import Ask
from exchange.access.store import REQUESTS
from exchange.catalog.form import FormField
from exchange.clock import DAY_MS, now_ms
from exchange.errors import BadInput, Conflict, Forbidden, NotFound
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.ledger.write import Update, Write
from exchange.participants.change_member import remove_member, set_member_roles
from tests.support.desk import open_world
from tests.support.judge import judge

FORM = (
    FormField("use", "text", "Use", "用途", required=True),
    FormField("region", "choice", "Region", "地区", choices=("north", "south")),
)


@pytest.fixture
async def world(exchange):
    world = await open_world(exchange)
    world.offering = await world.publish(approval="provider", approvers=2)
    world.anna, world.bo = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    return world


def event(world, receipt):
    verifier = Verifier.parse(world.parts.ledger.verifier_key)
    return receipts.verify(receipt, verifier).event


async def state(world, request_id):
    return await world.parts.store.held(request_id, world.operator)


async def move_clock(world, request_id, **values):
    held = await state(world, request_id)
    await world.parts.ledger.commit(Write(updates=[Update(REQUESTS, request_id, held.rev, values)]))


async def test_asked_back_answered_and_approved_by_two_people(database, world):
    asked = await world.ask()
    assert (asked.status, asked.waits_for) == ("pending_approval", "provider")
    assert asked.until_ms == asked.since_ms + 14 * DAY_MS
    back = await world.act("ask", asked.request_id, world.anna, "For which region?")
    assert back.answer.waits_for == "consumer"
    assert event(world, back.receipt)["type"] == "exchange.request.questioned.v1"
    said = await world.act("answer", asked.request_id, world.sme, "The north.")
    assert said.answer.waits_for == "provider"
    first = await world.approve(asked.request_id, world.anna)
    assert (first.answer.status, len(first.answer.approvals)) == ("pending_approval", 1)
    assert first.answer.grant is None
    second = await world.approve(asked.request_id, world.bo)
    assert (second.answer.status, second.answer.waits_for) == ("approved", None)
    activated = event(world, second.receipt)
    assert activated["type"] == "exchange.grant.activated.v1"
    grant = second.answer.grant
    assert activated["subject"] == grant.id
    assert second.receipt.index == grant.leaf_index
    assert [each["by"] for each in grant.approvals] == [world.anna.member_id, world.bo.member_id]
    steps = await world.parts.store.steps(asked.request_id)
    assert [s.kind for s in steps] == ["questioned", "answered", "approved", "approved"]
    judged = judge(database.sql)
    assert judged.count("request.approved.v1") == 2
    assert b"north" not in b"".join(judged.entries)
    # A token is given: the policy is asked again, with the approvals under which the grant stands.
    people = world.parts.participants
    client = await people.client(world.sme.client_id)
    consumer = await people.organisation(world.sme.org_id)
    assert await authorize_grant(world.parts.desk, client, consumer, grant.id)
    assert (await world.ask()).grant.id == grant.id


async def test_one_person_is_not_two(database, world):
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    again = await world.approve(asked.request_id, world.anna)
    assert (again.answer.status, again.receipt) == ("pending_approval", None)
    assert judge(database.sql).count("request.approved.v1") == 1


@pytest.mark.parametrize("gone", ["removed", "another role"])
async def test_whoever_is_no_approver_any_more_has_not_approved(database, world, gone):
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    chain = (world.parts.ledger, world.parts.participants, world.operator, world.anna.member_id)
    if gone == "removed":
        await remove_member(*chain)
    else:
        await set_member_roles(*chain, roles=frozenset({"developer"}))
    alone = await world.approve(asked.request_id, world.bo)
    assert alone.answer.status == "pending_approval"
    assert [each["by"] for each in alone.answer.approvals] == [world.bo.member_id]
    cleo = await world.member(world.platform.org_id, "approver")
    done = await world.approve(asked.request_id, cleo)
    assert done.answer.status == "approved"
    people = [each["by"] for each in done.answer.grant.approvals]
    assert people == [world.bo.member_id, cleo.member_id]
    judge(database.sql)


@pytest.mark.parametrize("who", ["program", "applicant", "rival", "operator"])
async def test_only_people_of_the_platform_approve(database, world, who):
    asked = await world.ask()
    rival = await world.join("platform")
    by = {
        "program": world.platform,
        "applicant": await world.member(world.sme.org_id, "developer", "approver"),
        "rival": replace(rival, member_id="mbr_x", scopes=rival.scopes | {"approvals"}),
        "operator": replace(world.operator, member_id="mbr_o"),
    }[who]
    with pytest.raises((Forbidden, NotFound)):
        await world.approve(asked.request_id, by)
    assert judge(database.sql).count("request.approved.v1") == 0


async def test_approval_is_decided_on_what_is_so_today(database, world):
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    await world.set_attribute(world.sme.org_id, "jurisdiction", "US")
    done = await world.approve(asked.request_id, world.bo)
    assert (done.answer.status, done.answer.grant) == ("denied", None)
    assert "jurisdiction_not_allowed" in {reason.code for reason in done.answer.reasons}
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == 0
    assert judged.count("decision.denied.v1") == 1


async def test_a_withdrawn_offering_makes_no_grant_of_what_waits(database, world):
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    await world.withdraw()
    done = await world.approve(asked.request_id, world.bo)
    assert done.answer.status == "denied"
    assert judge(database.sql).count("grant.activated.v1") == 0


async def test_a_request_is_approved_on_the_version_that_it_saw(world):
    asked = await world.ask()
    await world.revise(max_days=5)
    await world.approve(asked.request_id, world.anna)
    done = await world.approve(asked.request_id, world.bo)
    assert (done.answer.status, done.answer.grant.offering_version) == ("approved", 1)


@pytest.mark.parametrize(
    ("act", "by", "status"), [("reject", "anna", "rejected"), ("withdraw", "sme", "withdrawn")]
)
async def test_what_is_settled_stays_so_and_may_be_asked_anew(database, world, act, by, status):
    asked = await world.ask()
    done = await world.act(act, asked.request_id, getattr(world, by), "Because.")
    assert (done.answer.status, done.answer.waits_for) == (status, None)
    for verb, who in (("ask", world.anna), ("reject", world.anna), ("withdraw", world.sme)):
        with pytest.raises(Conflict):
            await world.act(verb, asked.request_id, who, "No.")
    with pytest.raises(Conflict):
        await world.approve(asked.request_id, world.bo)
    again = await world.ask()
    assert (again.status, again.is_new) == ("pending_approval", True)
    assert again.request_id != asked.request_id
    judge(database.sql)


async def test_an_appeal_against_a_rejection_makes_it_wait_again(database, world):
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    await world.act("reject", asked.request_id, world.bo, "Too vague.")
    done = await world.act("appeal", asked.request_id, world.sme, "It is for winter planning.")
    assert (done.answer.status, done.answer.waits_for) == ("pending_approval", "provider")
    assert not done.answer.approvals  # they are given anew
    assert (await world.ask()).request_id == asked.request_id
    await world.approve(asked.request_id, world.anna)
    done = await world.approve(asked.request_id, world.bo)
    assert done.answer.status == "approved"
    judge(database.sql)


async def test_an_appeal_against_a_denial_or_a_revocation_is_a_leaf(database, world):
    denied = await world.ask(purpose="marketing")
    done = await world.act("appeal", denied.request_id, world.sme, "We need it.")
    assert done.answer.status == "denied"
    assert event(world, done.receipt)["type"] == "exchange.request.appealed.v1"
    asked = await world.ask()
    for person in (world.anna, world.bo):
        approved = await world.approve(asked.request_id, person)
    with pytest.raises(Conflict):
        await world.act("appeal", asked.request_id, world.sme, "Nothing was refused.")
    await world.revoke(approved.answer.grant.id)
    await world.act("appeal", asked.request_id, world.sme, "We kept to the terms.")
    assert judge(database.sql).count("request.appealed.v1") == 2


async def test_nobody_answers_reminded_then_lapsed(database, world):
    asked = await world.ask()
    desk = world.parts.desk
    assert await chase_requests(desk) == 0
    await move_clock(world, asked.request_id, remind_ms=now_ms() - 1)
    assert await chase_requests(desk) == 1
    assert await chase_requests(desk) == 0
    await move_clock(world, asked.request_id, until_ms=now_ms() - 1)
    assert await chase_requests(desk) == 1
    assert (await state(world, asked.request_id)).status == "lapsed"
    assert await chase_requests(desk) == 0
    assert (await world.ask()).request_id != asked.request_id
    judged = judge(database.sql)
    assert judged.count("request.reminded.v1") == judged.count("request.lapsed.v1") == 1


async def test_once_its_time_is_over_nobody_acts_any_more(database, world):
    """The lapse's leaf follows the clock; until it is there an approval must not come first."""
    asked = await world.ask()
    await world.approve(asked.request_id, world.anna)
    await move_clock(world, asked.request_id, until_ms=now_ms() - 1)
    for late in (
        world.approve(asked.request_id, world.bo),
        world.act("ask", asked.request_id, world.anna, "For which region?"),
        world.act("withdraw", asked.request_id, world.sme),
    ):
        with pytest.raises(Conflict, match="lapsed"):
            await late
    assert await chase_requests(world.parts.desk) == 1
    assert (await state(world, asked.request_id)).status == "lapsed"
    assert judge(database.sql).count("request.approved.v1") == 1


async def test_what_is_due_is_found_by_an_index_of_what_waits(database, world):
    await world.ask()
    plans = []

    def explained(_connection, cursor, statement, parameters, _context, _many):
        if "<=" in statement:
            verb = "EXPLAIN QUERY PLAN " if database.kind == "sqlite" else "EXPLAIN "
            cursor.execute(verb + statement, parameters)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
        return statement, parameters

    engine = world.parts.db.readers
    if database.kind == "postgres":  # of a few rows it rather reads all
        database.sql(f"ALTER DATABASE {database.name} SET enable_seqscan = off")
        engine.dispose()
    listen(engine, "before_cursor_execute", explained, retval=True)
    for column in ("until_ms", "remind_ms"):
        await world.parts.store.due(column, now_ms(), 100)
        assert f"ix_access_requests_{column.removesuffix('_ms')}" in plans.pop()


async def test_a_form_and_terms_are_asked_for_and_kept(database, world):
    world.offering = await world.publish(form=FORM, terms_en="Do no harm.", terms_zh="勿害。")
    digest = world.offering.terms.terms_digest
    faults = {}
    for name, more in {
        "form_invalid": {},
        "terms_not_accepted": {"form": {"use": "routes"}},
        "terms_changed": {"form": {"use": "routes"}, "accepted_terms": "sha256:" + "0" * 64},
    }.items():
        with pytest.raises((BadInput, Conflict)) as refused:
            await world.ask(**more)
        assert refused.value.code == name
        faults[name] = refused.value
    assert faults["form_invalid"].members["faults"] == [{"in": "form.use", "fault": "is required"}]
    wrong = {"use": "x", "region": "east", "shoe": 1}
    with pytest.raises(BadInput) as refused:
        await world.ask(form=wrong, accepted_terms=digest)
    assert {fault["in"] for fault in refused.value.members["faults"]} == {
        "form.region",
        "form.shoe",
    }
    done = await world.ask(form={"use": "routes of 王芳"}, accepted_terms=digest)
    assert done.status == "permitted"
    assert done.grant.terms_digest == digest
    data = event(world, done.receipt)["data"]
    assert data["accepted_terms"] == digest
    assert len(data["form_commitment"]) == 64
    assert "王芳".encode() not in b"".join(judge(database.sql).entries)
    assert (await state(world, done.request_id)).ask.form == {"use": "routes of 王芳"}


async def test_an_idempotency_key_is_one_step(database, world):
    asked = await world.ask()
    for _ in range(3):
        await world.approve(asked.request_id, world.anna, key="a")
        await world.act("comment", asked.request_id, world.sme, "Hello.", key="c")
    with pytest.raises(BadInput) as refused:
        await world.act("comment", asked.request_id, world.sme, "Other words.", key="c")
    assert refused.value.code == "idempotency_key_reused"
    judged = judge(database.sql)
    assert judged.count("request.approved.v1") == judged.count("request.commented.v1") == 1


async def test_whom_it_does_not_concern_can_do_nothing(world):
    asked = await world.ask()
    stranger = await world.join("sme")
    for act in ("ask", "answer", "comment", "withdraw", "appeal"):
        with pytest.raises(NotFound):
            await world.act(act, asked.request_id, stranger, "Hm.")
    for act, by in (("ask", world.sme), ("withdraw", world.anna), ("comment", world.platform)):
        with pytest.raises(Forbidden):
            await world.act(act, asked.request_id, by, "Hm.")
    with pytest.raises(BadInput):
        await world.act("ask", asked.request_id, world.anna, "  ")


async def test_explaining_leaves_no_trace_and_says_what_would_help(database, world):
    world.offering = await world.publish(min_evidence="certified")
    before = judge(database.sql).size
    ask = Ask(world.offering.id, "marketing", ("call",), 400)
    found = await explain_access(world.parts.desk, world.sme, ask, {})
    assert found.decision.outcome == "deny"
    assert {each.code for each in found.changes} == {
        *("choose_purpose", "choose_action", "shorten_duration", "raise_evidence"),
    }
    assert found.after == "permit"
    supposed = {
        name: Supposed(None, "certified")
        for name in ("jurisdiction", "industry", "headcount", "revenue_cny_10k")
    }
    good = Ask(world.offering.id, "logistics_planning", ("read",), 30)
    assert (await explain_access(world.parts.desk, world.sme, good, supposed)).after == "permit"
    for name, what in (("headcount", Supposed(1, None)), ("assets_cny_10k", Supposed(None, None))):
        with pytest.raises(BadInput):
            await explain_access(world.parts.desk, world.sme, good, {name: what})
    stranger = await world.join("sme")
    found = await explain_access(world.parts.desk, stranger, good, {})
    assert found.after is None  # what it would state, only it knows
    size = judge(database.sql).size
    assert size == before + 2  # the stranger's registration, and nothing else
    assert (await state(world, (await world.ask()).request_id)).until_ms == NEVER_MS
