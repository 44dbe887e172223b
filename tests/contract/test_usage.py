"""What was used, on both databases: the same that uses and leaves say, to whom it concerns."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from exchange.access.allowance import UseOf
from exchange.access.close_sessions import close_sessions
from exchange.access.record_use import record_use
from exchange.access.running import end_use
from exchange.access.store import SESSIONS
from exchange.clock import DAY_MS, now_ms
from exchange.errors import BadInput
from exchange.ledger.write import Update, Write
from exchange.usage.model import (
    Sums,
    begins_ms,
    day_of,
    next_minute_ms,
    number_of,
    numbered,
    span,
)
from exchange.usage.store import UsageStore
from tests.support.desk import open_world
from tests.support.judge import judge

FILE = UseOf("data.bin", "ab" * 32, "GET", 0, 99)
CALL = UseOf("GET /stats", "cd" * 32, "GET", -1, -1)


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


@pytest.fixture
def usage(world):
    return UsageStore(world.parts.store)


async def granted(world, **limits):
    world.offering = await world.publish(limits=limits)
    return (await world.ask()).grant


async def use(world, grant, what=FILE, sent=None):
    client = await world.parts.participants.client(grant.client_id)
    use_id = await record_use(world.parts.desk, grant, client, what, 15)
    if sent is not None:
        await end_use(world.parts.store, use_id, sent, complete=True)
    return use_id


async def move(world, session_id, **values):
    query = SESSIONS.select().where(SESSIONS.c.id == session_id)
    row = await world.parts.db.read(lambda c: c.execute(query).one())
    await world.parts.ledger.commit(Write(updates=[Update(SESSIONS, row.id, row.rev, values)]))


async def days(usage, caller, **asked):
    today = day_of(now_ms())
    first = asked.pop("first", today - timedelta(days=29))
    return await usage.by_day(caller, first, today, asked.pop("limit", 50), **asked)


async def test_sums_are_the_same_before_and_after_a_session_is_closed(database, world, usage):
    grant = await granted(world, bytes=10_000)
    await use(world, grant, sent=100)
    await use(world, grant, sent=40)
    await use(world, grant)
    await use(world, grant, CALL, sent=1)
    found = await usage.of_grant(grant)
    assert found.sums == Sums(sessions=2, uses=4, sent_bytes=141, running=1)
    (bytes_left,) = found.allowances
    assert (bytes_left.obligation, bytes_left.used) == ("bytes", 241)  # what runs is reserved
    assert now_ms() - 60_000 < found.last_use_ms <= now_ms()
    for (session_id,) in database.sql("SELECT id FROM sessions"):
        await move(world, session_id, expires_ms=now_ms())
    assert await close_sessions(world.parts.ledger) == 2
    found = await usage.of_grant(grant)
    assert found.sums == Sums(sessions=2, uses=4, sent_bytes=141, ended_unknown=1)
    leaves = judge(database.sql).of("delivery.closed.v2")
    assert sum(leaf["sent_bytes"] for leaf in leaves) == 141
    assert sum(leaf["uses"] for leaf in leaves) == 4


async def test_what_the_platforms_store_delivers_is_neither_running_nor_lost(
    database, world, usage
):
    grant = await granted(world)
    await use(world, grant, sent=100)
    await use(world, grant, replace(FILE, method="authorised"))
    found = await usage.of_grant(grant)
    assert found.sums == Sums(sessions=1, uses=2, sent_bytes=100, authorised=1)
    for (session_id,) in database.sql("SELECT id FROM sessions"):
        await move(world, session_id, expires_ms=now_ms())
    assert await close_sessions(world.parts.ledger) == 1
    found = await usage.of_grant(grant)
    assert found.sums == Sums(sessions=1, uses=2, sent_bytes=100, authorised=1)
    [leaf] = judge(database.sql).of("delivery.closed.v2")
    assert (leaf["uses"], leaf["authorised"], leaf["ended_unknown"]) == (2, 1, 0)


async def test_a_grant_that_nobody_used(world, usage):
    grant = await granted(world, calls=3, calls_per_minute=60, concurrent=2)
    found = await usage.of_grant(grant)
    assert (found.sums, found.last_use_ms) == (Sums(), None)
    left = {each.obligation: (each.ceiling, each.left) for each in found.allowances}
    assert left == {"calls": (3, 3), "calls_per_minute": (60, 60), "concurrent": (2, 2)}
    resets = {each.obligation: each.resets_ms for each in found.allowances}
    assert resets["calls"] is resets["concurrent"] is None
    assert 0 < resets["calls_per_minute"] - now_ms() <= 60_000


async def test_days_of_china_and_pages(database, world, usage):
    grant = await granted(world)
    today = day_of(now_ms())
    for back, sent in ((0, 5), (1, 7), (29, 11), (30, 13)):
        await use(world, grant, UseOf("f", f"{back:064x}", "GET", 0, 99), sent)
        ((session_id,),) = database.sql(
            "SELECT id FROM sessions WHERE object_version = '" + f"{back:064x}" + "'"
        )
        last_moment = begins_ms(today - timedelta(days=back)) + (DAY_MS - 1 if back else 0)
        await move(world, session_id, opened_ms=last_moment)
    found = await days(usage, world.sme)
    assert [(today - each.day).days for each in found] == [0, 1, 29]
    assert [each.sums.sent_bytes for each in found] == [5, 7, 11]
    assert {each.key for each in found} == {""}
    paged, after = [], None
    while page := await days(usage, world.sme, limit=1, after=after, by="grant"):
        paged += page
        after = number_of(page[-1].day), page[-1].key
    assert [each.sums for each in paged] == [each.sums for each in found]
    assert {each.key for each in paged} == {grant.id}


async def test_each_sees_what_concerns_it(world, usage):
    first = await granted(world)
    await use(world, first, sent=10)
    second = await granted(world)
    await use(world, second, sent=20)
    other = await world.join("sme")
    rival = await world.join("platform")
    auditor = await world.join("auditor")
    for caller in (world.sme, world.platform, world.operator, auditor):
        (all_,) = await days(usage, caller)
        assert all_.sums.sent_bytes == 30
        by_offering = {d.key: d.sums.sent_bytes for d in await days(usage, caller, by="offering")}
        assert by_offering == {first.offering_id: 10, second.offering_id: 20}
        (one,) = await days(usage, caller, offering_id=first.offering_id)
        assert one.sums.sent_bytes == 10
        (one,) = await days(usage, caller, grant_id=second.id)
        assert one.sums.sent_bytes == 20
        (one,) = await days(usage, caller, by="consumer")
        assert one.key == world.sme.org_id
    for caller in (other, rival):
        assert await days(usage, caller) == []


def test_days_are_those_of_china():
    assert day_of(begins_ms(date(2026, 3, 1))) == date(2026, 3, 1)
    assert day_of(begins_ms(date(2026, 3, 1)) - 1) == date(2026, 2, 28)
    assert begins_ms(date(1970, 1, 2)) == 16 * 3_600_000  # 00:00 in China is 16:00 the day before
    assert numbered(number_of(date(2028, 2, 29))) == date(2028, 2, 29)
    assert next_minute_ms(59_999) == 60_000
    assert next_minute_ms(60_000) == 120_000


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2026, 2, 1), date(2026, 1, 31)),
        (date(2025, 1, 1), date(2026, 1, 2)),
        (date(1960, 1, 1), date(1960, 1, 2)),
        (date.min, None),
    ],
)
def test_spans_that_are_none_or_too_long_are_refused(since, until):
    with pytest.raises(BadInput, match="days"):
        span(since, until, now_ms())


def test_spans_that_are_left_out():
    now = begins_ms(date(2026, 3, 31))
    assert span(None, None, now) == (date(2026, 3, 2), date(2026, 3, 31))
    assert span(date(2026, 3, 30), None, now) == (date(2026, 3, 30), date(2026, 3, 31))
    assert span(None, date(2026, 1, 30), now) == (date(2026, 1, 1), date(2026, 1, 30))
    assert span(date(2030, 1, 1), None, now) == (date(2030, 1, 1), date(2030, 1, 1))
    assert span(date.max, None, now)[0] == date.max
