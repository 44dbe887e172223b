"""Requests, grants and deliveries on both databases: rows and leaves tell one story."""

import asyncio
from functools import partial
from threading import current_thread

import pytest

from exchange.access.allowance import UseOf
from exchange.access.close_sessions import close_sessions
from exchange.access.record_use import record_use
from exchange.access.revoke_grant import end_grants
from exchange.access.running import end_use
from exchange.access.store import GRANTS, SESSIONS
from exchange.clock import DAY_MS, now_ms
from exchange.errors import BadInput, Conflict, Forbidden, NotFound
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.ledger.write import Met, Update, Write
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.ledgers import open_exchange


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


def verified(world, receipt):
    return receipts.verify(receipt, Verifier.parse(world.parts.ledger.verifier_key))


async def use(world, grant, version="v1", *, minutes=15, client=None):
    people = world.parts.participants
    client = client or await people.client(grant.client_id)
    what = UseOf("data.bin", version, "GET", 0, 99)
    return await record_use(world.parts.desk, grant, client, what, minutes)


async def change(world, table, row_id, **values):
    """Change a row from aside, as time would."""
    query = table.select().where(table.c.id == row_id)
    row = await world.parts.db.read(lambda c: c.execute(query).one())
    await world.parts.ledger.commit(Write(updates=[Update(table, row_id, row.rev, values)]))


async def test_a_permit_is_a_grant_with_its_leaf_and_receipt(database, world):
    answer = await world.ask()
    assert (answer.status, answer.is_new) == ("permitted", True)
    grant = answer.grant
    event = verified(world, answer.receipt).event
    assert event["type"] == "exchange.grant.activated.v1"
    assert event["data"]["grant_id"] == event["subject"] == grant.id
    assert answer.receipt.index == grant.leaf_index
    assert grant.ends_ms == grant.starts_ms + 30 * DAY_MS
    assert grant == await world.parts.store.grant(grant.id)
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_a_denial_and_a_question_are_leaves_too(database, world):
    denied = await world.ask(purpose="credit_scoring")
    assert (denied.status, denied.grant) == ("denied", None)
    assert denied.reasons
    event = verified(world, denied.receipt).event
    assert event["data"]["reasons"] == [reason.code for reason in denied.reasons]
    world.offering = await world.publish(approval="provider")
    pending = await world.ask()
    assert (pending.status, pending.grant) == ("pending_approval", None)
    judged = judge(database.sql)
    assert judged.count("decision.denied.v1") == judged.count("decision.needs_approval.v1") == 1


@pytest.mark.parametrize("approval", ["automatic", "provider"])
async def test_asking_again_finds_the_same_answer(database, world, approval):
    world.offering = await world.publish(approval=approval)
    first = await world.ask()
    same = [{}, {"key": "fresh"}]
    if approval == "automatic":  # a grant stands, whatever else is asked for
        same.append({"days": 7})
    else:
        with pytest.raises(Conflict) as refused:
            await world.ask(days=7)
        assert refused.value.code == "asked_already"
    for more in same:
        again = await world.ask(**more)
        assert (again.request_id, again.grant) == (first.request_id, first.grant)
        assert not again.is_new
        assert verified(world, again.receipt).event["id"] == first.event_id
    other = await world.ask(purpose="scientific_research")
    assert other.request_id != first.request_id
    assert judge(database.sql).size == other.receipt.index + 1


async def test_a_denial_stands_until_what_it_rests_on_changes(database, world):
    denied = await world.ask(days=91)
    assert (await world.ask(days=91)).request_id == denied.request_id
    assert (await world.ask(days=92)).request_id != denied.request_id
    await world.revise(max_days=365)
    assert (await world.ask(days=91)).status == "permitted"
    assert judge(database.sql).count("decision.denied.v1") == 2


async def test_an_idempotency_key_is_one_request(database, world):
    first = await world.ask(key="k")
    again = await world.ask(key="k")
    assert again.request_id == first.request_id
    with pytest.raises(BadInput) as refused:
        await world.ask(key="k", purpose="scientific_research")
    assert (refused.value.code, refused.value.status_code) == ("idempotency_key_reused", 422)
    stranger = await world.join("sme", None)
    assert (await world.ask(stranger, key="k")).request_id != first.request_id
    judge(database.sql)


async def test_an_idempotency_key_answers_alike_after_all_has_changed(world):
    first = await world.ask(key="k")
    await world.revoke(first.grant.id)
    await world.withdraw()
    again = await world.ask(key="k")
    assert again.request_id == first.request_id
    assert again.grant.status == "revoked"


async def test_after_a_revocation_the_question_is_decided_anew(database, world):
    first = await world.ask()
    grant, receipt = await world.revoke(first.grant.id)
    assert grant.status == "revoked"
    assert verified(world, receipt).event["type"] == "exchange.grant.revoked.v2"
    assert await world.revoke(first.grant.id) == (grant, None)
    second = await world.ask()
    assert second.is_new
    assert second.grant.id != first.grant.id
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == 2
    assert judged.count("grant.revoked.v2") == 1


async def test_only_its_platform_or_the_operator_revokes(world):
    grant = (await world.ask()).grant
    other = await world.join("platform")
    with pytest.raises(Forbidden):
        await world.revoke(grant.id, world.sme)
    with pytest.raises(NotFound):
        await world.revoke(grant.id, other)
    assert (await world.revoke(grant.id, world.operator))[0].status == "revoked"


async def test_a_grant_ends_by_the_clock_and_its_leaf_follows_once(database, world):
    parts = world.parts
    short, long = (await world.ask()).grant, (await world.ask(purpose="scientific_research")).grant
    await change(world, GRANTS, short.id, ends_ms=now_ms() - 1)
    assert (await parts.store.grant(short.id)).state(now_ms()) == "ended"
    with pytest.raises(Conflict):
        await world.revoke(short.id)
    assert await end_grants(parts.ledger, parts.store) == 1
    assert await end_grants(parts.ledger, parts.store) == 0
    assert (await parts.store.grant(short.id)).status == "ended"
    assert (await parts.store.grant(long.id)).status == "active"
    ((leaf,),) = [database.sql("SELECT subject FROM entries WHERE type LIKE '%grant.ended%'")]
    assert leaf == (short.id,)


async def test_whom_it_does_not_concern_sees_nothing(world):
    answer = await world.ask()
    store = world.parts.store
    stranger, auditor = await world.join("sme"), await world.join("auditor")
    for caller, sees in (
        (world.sme, True),
        (world.platform, True),
        (world.operator, True),
        (auditor, True),
        (stranger, False),
    ):
        assert [a.request_id for a in await store.answers(caller, None, 9)] == (
            [answer.request_id] if sees else []
        )
        assert [g.id for g in await store.grants(caller, None, 9)] == (
            [answer.grant.id] if sees else []
        )
        if sees:
            assert (await store.answer(answer.request_id, caller)).grant == answer.grant
        else:
            for ask in (
                store.answer(answer.request_id, caller),
                store.grant_for(answer.grant.id, caller),
            ):
                with pytest.raises(NotFound):
                    await ask


async def test_pages_hold_every_request_once_newest_first(world):
    made = [(await world.ask(purpose=f"purpose_{n}")).request_id for n in range(7)]
    found, after = [], None
    while page := await world.parts.store.answers(world.sme, after, 3):
        found += [answer.request_id for answer in page]
        after = found[-1]
    assert found == made[::-1]


async def test_uses_join_one_session_and_its_leaf_sums_them_up(database, world):
    parts, grant = world.parts, (await world.ask()).grant
    uses = await asyncio.gather(*(use(world, grant) for _ in range(12)))
    other = await use(world, grant, "v2")
    assert len({*uses, other}) == 13
    for use_id in uses[:5]:
        await end_use(parts.store, use_id, 100, complete=True)
    judged = judge(database.sql)
    assert judged.count("delivery.opened.v1") == 2
    assert await close_sessions(parts.ledger) == 0
    for session_id, _ in database.sql("SELECT id, status FROM sessions"):
        await change(world, SESSIONS, session_id, expires_ms=now_ms())
    closed = await asyncio.gather(close_sessions(parts.ledger), close_sessions(parts.ledger))
    assert sum(closed) == 2
    summed = {leaf["uses"]: leaf for leaf in judge(database.sql).of("delivery.closed.v2")}
    assert summed[12]["sent_bytes"] == 500
    assert summed[12]["ended_unknown"] == 7
    assert summed[1]["ended_unknown"] == 1


async def test_sessions_are_spent_exactly(database, world):
    world.offering = await world.publish(max_sessions=3)
    grant = (await world.ask()).grant
    assert grant.obligations["sessions"] == 3
    tried = await asyncio.gather(
        *(use(world, grant, f"v{n % 8}") for n in range(32)), return_exceptions=True
    )
    refused = [error for error in tried if isinstance(error, Exception)]
    assert {type(error) for error in refused} == {Forbidden}
    assert {error.code for error in refused} == {"sessions_exhausted"}
    assert database.sql("SELECT value FROM counters") == [(3,)]
    assert judge(database.sql).count("delivery.opened.v1") == 3
    versions = database.sql("SELECT DISTINCT object_version FROM sessions")
    assert len(tried) - len(refused) == 4 * len(versions)


async def test_a_use_that_is_on_its_way_is_in_the_leaf_or_not_in_the_session(
    database, world, monkeypatch
):
    """The sweeper counts; a use that read the session as open commits after that."""
    parts, grant = world.parts, (await world.ask()).grant
    await use(world, grant)
    ((session_id,),) = database.sql("SELECT id FROM sessions")
    pass_time_of(database, session_id)
    read, met, joined = parts.db.read, parts.store.met, []

    async def met_a_moment_ago(keys, _now):
        monkeypatch.setattr(parts.store, "met", met)
        return Met(keys[0], {"id": session_id})

    async def read_then_use(query):
        found = await read(query)
        if isinstance(query, partial):  # the uses are summed up, the leaf is not yet committed
            monkeypatch.setattr(parts.store, "met", met_a_moment_ago)
            joined.append(await use(world, grant))
        return found

    monkeypatch.setattr(parts.db, "read", read_then_use)
    assert await close_sessions(parts.ledger) == 1
    assert len(joined) == 1
    (leaf,) = judge(database.sql).of("delivery.closed.v2")
    held = database.sql("SELECT id FROM uses WHERE session_id = ?", session_id)
    assert leaf["uses"] == len(held) == 1
    assert len(database.sql("SELECT id FROM sessions")) == 2


def pass_time_of(database, session_id):
    """As if the session's time had passed; no rev changes by that."""
    past = now_ms() - 1
    database.sql("UPDATE sessions SET expires_ms = ? WHERE id = ?", past, session_id)
    database.sql("UPDATE once_keys SET expires_ms = ? WHERE key LIKE 'session:%'", past)


async def test_a_closed_session_is_followed_by_the_next(database, world):
    parts, grant = world.parts, (await world.ask()).grant
    await use(world, grant)
    ((session_id,),) = database.sql("SELECT id FROM sessions")
    pass_time_of(database, session_id)
    assert await close_sessions(parts.ledger) == 1
    await use(world, grant)
    assert judge(database.sql).count("delivery.opened.v1") == 2


@pytest.mark.parametrize("what", ["grant revoked", "client disabled"])
async def test_a_use_is_refused_once_what_it_rests_on_changed(database, world, what):
    grant = (await world.ask()).grant
    client = await world.parts.participants.client(grant.client_id)
    await use(world, grant)
    if what == "grant revoked":
        await world.revoke(grant.id)
    else:
        await world.disable(grant.client_id)
    for version in ("v1", "v2"):  # in the open session, and in a new one
        with pytest.raises((Conflict, Forbidden)):
            await use(world, grant, version, client=client)
    assert len(database.sql("SELECT id FROM uses")) == 1
    judge(database.sql)


async def test_caches_are_touched_by_the_event_loop_alone(world, monkeypatch):
    """A row that is dropped by another thread while it is looked up would be an error."""
    parts, dropped = world.parts, []
    for cache in (parts.participants.organisations, parts.catalog.offerings):
        drop = cache.drop
        monkeypatch.setattr(
            cache, "drop", lambda ids, d=drop: (dropped.append(current_thread()), d(ids))
        )
    parts.tasks[0].cancel()
    before = await parts.participants.organisations.get(world.sme.org_id)
    await world.set_attribute(world.sme.org_id, "headcount", 7)
    after = await parts.participants.organisations.get(world.sme.org_id)
    assert (before.rev + 1, after.attributes["headcount"].value) == (after.rev, 7)
    assert set(dropped) == {current_thread()}


async def test_everything_is_as_it_was_after_a_restart(database):
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        answer = await world.ask(key="k")
        checkpoint = await parts.ledger.checkpoint()
    before = judge(database.sql)
    async with open_exchange(database) as parts:
        world.parts = parts
        assert await parts.ledger.checkpoint() == checkpoint
        assert (await world.ask(key="k")).grant == answer.grant
        assert (await world.ask()).grant == answer.grant
        assert parts.desk.policy.rev == 1
    assert judge(database.sql).entries == before.entries  # a restart leaves no leaf
