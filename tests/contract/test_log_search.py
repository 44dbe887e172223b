"""Searching the log finds what reading all of it finds, however far the index has come."""

import itertools
import random

import pytest
from sqlalchemy import event

from exchange.ledger.index import FOLLOWER, HOUR_MS, LogIndex
from exchange.ledger.refs import refs_of
from exchange.ledger.search import Wanted, find
from exchange.ledger.write import Write
from tests.support.desk import open_world
from tests.support.ledgers import open_exchange

ORGS = [f"org_{letter * 26}" for letter in "abc"]
OFFERINGS = [f"off_{letter * 26}" for letter in "xy"]
DAY = 24 * HOUR_MS
NOON = 20_000 * DAY + DAY // 2


async def fill(ledger, count: int, seed: int = 1) -> None:
    """Entries about few things, their times out of order, as commits of several workers are."""
    chance = random.Random(seed)
    for at in range(0, count, 50):
        events = []
        for n in range(at, min(count, at + 50)):
            kind = chance.choice(["thing.made.v1", "thing.refused.v1"])
            data = {"offering_id": chance.choice(OFFERINGS), "by": chance.choice(ORGS), "n": n}
            if kind == "thing.refused.v1":
                data["reasons"] = chance.sample(["too_long", "not_offered", "elsewhere"], 2)
            time_ms = NOON + n * HOUR_MS // 20 + chance.randrange(-HOUR_MS, HOUR_MS)
            party = {"consumer_id": chance.choice([*ORGS, None])}
            event = ledger.event(kind, f"grt_0000_{n:026}", data, time_ms=time_ms, **party)
            events.append(event)
        await ledger.commit(Write(events))


async def build(ledger, chunk: int, steps: int) -> int:
    index, done = LogIndex(ledger, chunk), 0
    for _ in range(steps):
        done += await index.step()
    return done


WANTED = [
    Wanted(frozenset(refs), since_ms=since, until_ms=until, sight=sight)
    for refs in (
        [],
        [f"org:{ORGS[0]}"],
        ["kind:thing.refused.v1"],
        ["reason:too_long"],
        ["reason:too_long", "reason:elsewhere", f"off:{OFFERINGS[1]}"],
        [f"org:{ORGS[1]}", f"off:{OFFERINGS[0]}", "kind:thing.made.v1"],
        ["kind:thing.made.v1", "reason:too_long"],  # of which there is none
        [f"grt:grt_0000_{77:026}"],
        ["kind:log.opened.v1"],
    )
    for since, until in (
        (None, None),
        (NOON + 3 * HOUR_MS + 17, None),
        (None, NOON + 6 * HOUR_MS),
        (NOON + 4 * HOUR_MS - 1, NOON + 5 * HOUR_MS + 1),
        (NOON + 400 * DAY, None),
        (5, 4),
    )
    for sight in (None, frozenset(ORGS[1:2]), frozenset())
]


def brute_force(leaves, wanted: Wanted) -> list[int]:
    """By a second reading of what a filter means."""
    found = []
    for leaf in leaves:
        refs = refs_of(leaf)
        fits = set(wanted.refs) <= refs
        fits &= wanted.since_ms is None or wanted.since_ms <= leaf.time_ms
        fits &= wanted.until_ms is None or leaf.time_ms < wanted.until_ms
        fits &= wanted.sight is None or bool(
            {leaf.consumer_id, leaf.provider_id, leaf.subject} & wanted.sight
        )
        fits &= leaf.index >= wanted.start
        if fits:
            found.append(leaf.index)
    return found[::-1] if wanted.newest else found


def every_page(ledger, wanted: Wanted, limit: int, budget: int) -> list[int]:
    found, at = [], None
    while True:
        page = ledger.db.read_now(
            lambda c, at=at: find(c, ledger.log_id, wanted, limit, at, budget)
        )
        assert len(page.leaves) <= limit
        found += [leaf.index for leaf in page.leaves]
        if page.next is None:
            return found
        assert page.next != at, "the same page again"
        at = page.next


@pytest.mark.parametrize(("chunk", "steps"), [(1, 0), (64, 3), (256, 1), (301, 1)])
async def test_a_search_finds_what_reading_everything_finds(ledger, chunk, steps):
    await fill(ledger, 300)  # and log.opened.v1
    assert await build(ledger, chunk, steps) == chunk * steps
    leaves = await ledger.leaves(0, 1000)
    met = 0
    for wanted, newest, (limit, budget) in itertools.product(
        WANTED, (False, True), ((7, 100_000), (1000, 50))
    ):
        start = 60 if limit == 7 else 0
        asked = Wanted(wanted.refs, wanted.since_ms, wanted.until_ms, start, newest, wanted.sight)
        expected = brute_force(leaves, asked)
        met += bool(expected)
        assert every_page(ledger, asked, limit, budget) == expected, asked
    assert met > len(WANTED)


async def test_naming_an_organisation_shows_nobody_the_entry(ledger):
    """Whose affair an entry is its row says; that it names others does not make it theirs."""
    a, b, c = ORGS
    between = {"consumer_id": b, "provider_id": c}
    events = [
        ledger.event("thing.made.v1", f"grt_0000_{n:026}", {"by": a}, **between) for n in range(40)
    ]
    events.append(ledger.event("thing.made.v1", a, {"by": c}))
    await ledger.commit(Write(events))
    refs = [[], [f"org:{a}"], [f"org:{a}", "kind:thing.made.v1"], [f"grt:grt_0000_{7:026}"]]
    for _ in range(2):  # by reading, then by the index
        for wanted in (Wanted(frozenset(each), sight=frozenset([a])) for each in refs):
            about_a = [41] if not any(ref.startswith("grt") for ref in wanted.refs) else []
            assert every_page(ledger, wanted, 5, 100_000) == about_a
        assert len(every_page(ledger, Wanted(sight=frozenset([c])), 5, 100_000)) == 40
        await build(ledger, 42, 1)


async def test_the_index_takes_whole_chunks_once(database, ledger):
    await fill(ledger, 300)
    one, other = LogIndex(ledger, 100), LogIndex(ledger, 100)
    assert [await one.step(), await other.step(), await one.step(), await other.step()] == [
        *(100, 100, 100),
        0,
    ]
    assert database.sql("SELECT next_index FROM followers WHERE id = ?", FOLLOWER) == [(300,)]
    held = database.sql("SELECT ref, leaf_index FROM log_refs ORDER BY leaf_index, ref")
    leaves = await ledger.leaves(0, 300)
    assert held == sorted(
        ((ref, leaf.index) for leaf in leaves for ref in refs_of(leaf)),
        key=lambda row: (row[1], row[0]),
    )
    for leaf in leaves:
        ((first, last),) = database.sql(
            "SELECT min(first_index), max(last_index) FROM log_hours WHERE hour = ?",
            leaf.time_ms // HOUR_MS,
        )
        assert first <= leaf.index <= last


async def test_a_row_that_the_index_misleads_to_is_not_shown(database, ledger):
    """The entry has the last word, not the projection."""
    await fill(ledger, 300)
    await build(ledger, 256, 1)
    ref = f"org:{ORGS[0]}"
    wanted = Wanted(frozenset([ref]))
    expected = brute_force(await ledger.leaves(0, 1000), wanted)
    database.sql("DELETE FROM log_refs WHERE ref = ?", ref)
    (log_id,) = database.sql("SELECT log_id FROM log_state")[0]
    for index in range(256):
        database.sql("INSERT INTO log_refs VALUES (?, ?, ?)", log_id, ref, index)
    assert every_page(ledger, wanted, 20, 100_000) == expected


async def test_refs_of_a_real_story(database):
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        answer = await world.ask()
        grant = answer.grant
        await world.revoke(grant.id)
        leaves = {leaf.type: leaf for leaf in await parts.ledger.leaves(0, 100)}
        activated = refs_of(leaves["exchange.grant.activated.v1"])
        parties = {f"org:{world.sme.org_id}", f"org:{world.platform.org_id}"}
        about = {f"off:{world.offering.id}", f"grt:{grant.id}", f"req:{answer.request_id}"}
        assert activated == parties | about | {"kind:grant.activated.v1"}
        revoked = refs_of(leaves["exchange.grant.revoked.v2"])
        assert parties | {f"grt:{grant.id}", "reason:other"} <= revoked


PLANS = [
    Wanted(frozenset([f"org:{ORGS[0]}"])),
    Wanted(frozenset([f"org:{ORGS[0]}", "reason:too_long"]), newest=True),
    Wanted(since_ms=NOON, until_ms=NOON + 40 * HOUR_MS),
    Wanted(newest=True),
    Wanted(sight=frozenset(ORGS)),
    Wanted(frozenset(["kind:thing.made.v1", "reason:too_long"]), sight=frozenset(ORGS)),
]


async def test_a_search_walks_indexes(database, ledger):
    """Every statement of every search is planned on an index, none on a whole table."""
    await fill(ledger, 3000)
    await build(ledger, 256, 11)
    if database.kind == "postgres":
        database.sql("ANALYZE")
    plans = []

    def explained(connection) -> None:
        verb = "EXPLAIN QUERY PLAN " if database.kind == "sqlite" else "EXPLAIN "
        statements = []

        def note(_connection, _cursor, statement, parameters, _context, _many):
            statements.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        for wanted in PLANS:
            find(connection, ledger.log_id, wanted, 50)
        event.remove(connection, "before_cursor_execute", note)
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(verb + statement, parameters).all()
            plans.append((statement, "\n".join(str(row[-1]) for row in rows)))

    ledger.db.read_now(explained)
    assert len(plans) > 12
    for statement, plan in plans:
        for table in ("entries", "log_refs", "log_hours", "followers"):
            # SQLite: SCAN t; PostgreSQL: Seq Scan on t. Tables of a few pages excepted, which
            # PostgreSQL rightly reads whole.
            small = database.kind == "postgres" and table in ("log_hours", "followers")
            whole = f"SCAN {table}" in plan or f"Seq Scan on {table}" in plan
            assert small or not whole, (statement, plan)
    assert any("log_refs" in plan for _, plan in plans)
