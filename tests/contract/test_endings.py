"""What a grant's holder is told of its revocation, and an applicant of their request's end."""

import pytest

from exchange.access.api.documents import grant_out, request_out
from exchange.access.endings import Endings
from exchange.clock import now_ms
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.participants.register_organisation import commitment
from tests.support.desk import open_world
from tests.support.judge import judge


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


def verified(world, receipt):
    return receipts.verify(receipt, Verifier.parse(world.parts.ledger.verifier_key)).event


async def revoked(world, by=None):
    """A grant revoked with a reason and words, and what the store says of that."""
    grant = (await world.ask()).grant
    made, receipt = await world.revoke(grant.id, by, "terms_breached", "转售给第三方 Resold.")
    found = await Endings(world.parts.ledger).revocations([made])
    return made, receipt, found[grant.id]


async def test_a_revocation_is_kept_with_its_words_and_its_leaf_commits_to_them(database, world):
    lin = await world.member(world.platform.org_id, "approver")
    grant, receipt, why = await revoked(world, lin)
    assert (why.reason, why.text) == ("terms_breached", "转售给第三方 Resold.")
    assert (why.by_org, why.by_client, why.by_member) == (lin.org_id, lin.client_id, lin.member_id)
    assert why.revoked_by == "platform"
    assert 0 <= now_ms() - why.at_ms < 60_000
    event = verified(world, receipt)
    assert event["id"] == why.event_id
    assert event["data"] == {
        "grant_id": grant.id,
        "reason": "terms_breached",
        "by": lin.client_id,
        "by_member": lin.member_id,
        "text_commitment": commitment(why.salt, why.text),
    }
    assert await world.revoke(grant.id, lin, "other", "Again.") == (grant, None)
    assert (await Endings(world.parts.ledger).revocations([grant]))[grant.id] == why
    judge(database.sql)


async def test_without_words_there_is_nothing_to_commit_to(world):
    grant = (await world.ask()).grant
    _, receipt = await world.revoke(grant.id)
    assert verified(world, receipt)["data"]["text_commitment"] is None


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "The terms were breached."), ("zh", "违反了条款。")]
)
async def test_whoever_held_the_grant_is_told_who_when_and_why(world, lang, words):
    lin = await world.member(world.platform.org_id, "approver")
    grant, _, why = await revoked(world, lin)
    shown = grant_out(grant, world.sme, lang, revocation=why).revocation
    assert (shown.revoked_by, shown.by_organisation_id) == ("platform", world.platform.org_id)
    assert (shown.reason, shown.reason_text) == ("terms_breached", words)
    assert (shown.text, shown.event_id) == ("转售给第三方 Resold.", why.event_id)
    assert shown.by_member_id is None, "who it was is their own side's affair"
    assert grant_out(grant, lin, lang, revocation=why).revocation.by_member_id == lin.member_id


async def test_the_operators_revocation_says_so(world):
    _, _, why = await revoked(world, world.operator)
    assert (why.revoked_by, why.by_org) == ("operator", world.operator.org_id)


async def closed(world, request_id):
    held = await world.parts.store.held(request_id, world.sme)
    return held, (await Endings(world.parts.ledger).closings([held])).get(request_id)


@pytest.mark.parametrize(
    ("act", "lang", "told"),
    [
        ("reject", "en", "The platform rejected the request."),
        ("reject", "zh", "平台拒绝了该申请。"),
        ("withdraw", "en", "The applicant withdrew the request."),
        ("withdraw", "zh", "申请人撤回了该申请。"),
    ],
)
async def test_a_request_that_people_closed_shows_by_whom_and_in_which_words(
    world, act, lang, told
):
    lin = await world.member(world.platform.org_id, "approver")
    world.offering = await world.publish(approval="provider")
    request = (await world.ask()).request_id
    assert await closed(world, request) == (await world.parts.store.held(request, world.sme), None)
    by = lin if act == "reject" else world.sme
    await world.act("comment", request, by, "Not this one.")
    await world.act(act, request, by, "Not for bakers. 面包店不行。")
    held, step = await closed(world, request)
    shown = request_out(held, world.sme, lang, closing=step).closed
    assert (shown.kind_text, shown.text) == (told, "Not for bakers. 面包店不行。")
    assert shown.by_organisation_id == by.org_id
    assert shown.by_member_id is None
    steps = await world.parts.store.steps(request)
    assert shown.event_id == steps[-1].event_id
    assert shown.kind == steps[-1].kind


async def test_the_last_closing_counts_and_none_after_an_appeal(world):
    lin = await world.member(world.platform.org_id, "approver")
    world.offering = await world.publish(approval="provider")
    request = (await world.ask()).request_id
    await world.act("reject", request, lin, "First no.")
    await world.act("appeal", request, world.sme, "Please.")
    assert (await closed(world, request))[1] is None
    await world.act("reject", request, lin, "Second no.")
    assert (await closed(world, request))[1].text == "Second no."


async def test_a_grant_that_stands_has_no_revocation(world):
    grant = (await world.ask()).grant
    assert await Endings(world.parts.ledger).revocations([grant]) == {}
    assert grant_out(grant, world.sme, "en").revocation is None
