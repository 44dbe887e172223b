"""Status lists on both databases: what grants' rows say, as lists and as changes."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

import exchange.ledger
from exchange.access.revoke_grant import end_grants
from exchange.access.store import GRANTS
from exchange.clock import now_ms
from exchange.db import Database
from exchange.errors import Unavailable
from exchange.formats.status_list import StatusList
from exchange.ledger import vacant
from exchange.ledger.write import Update, Write
from exchange.migrate import SCRIPTS
from exchange.status import store as status_store
from exchange.status.feed import StatusFeed
from exchange.status.model import HARMLESS, STATUS_OF, Touched
from exchange.status.store import StatusStore
from tests.support.desk import ATTRIBUTES, open_world
from tests.support.ledgers import open_exchange
from tests.support.status_check import StatusCheck

PURPOSES = ("logistics_planning", "scientific_research")
SCHEMAS = Path(exchange.ledger.__file__).parent / "schemas"


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def read(world, *answers):
    return [await world.parts.store.grant(answer.grant.id) for answer in answers]


async def test_whatever_changes_a_grants_state_is_said(world):
    parts, platform = world.parts, world.platform.org_id
    answers = [await world.ask(purpose=purpose) for purpose in PURPOSES]
    other = await world.join("sme", ATTRIBUTES)
    answers.append(await world.ask(other))
    checks = StatusCheck(parts, platform)

    async def check(*states):
        grants = await read(world, *answers)
        assert tuple(grant.state(now_ms()) for grant in grants) == states
        await checks.check(grants)

    await check("active", "active", "active")
    first, second, third = (answer.grant for answer in answers)
    hold = await world.suspend(first.id, world.platform)
    await check("suspended", "active", "active")
    around = await world.suspend(world.offering.id, world.platform)
    await check("suspended", "suspended", "suspended")
    await world.lift(hold.id, world.platform)
    await world.lift(around.id, world.platform)
    await check("active", "active", "active")
    on_consumer = await world.suspend(world.sme.org_id)
    await check("suspended", "suspended", "active")
    await world.lift(on_consumer.id)
    on_provider = await world.suspend(platform)
    await check("suspended", "suspended", "suspended")
    await world.lift(on_provider.id)
    await world.revoke(second.id)
    await check("active", "revoked", "active")
    await world.suspend(world.sme.org_id)  # what is over stays so
    await check("suspended", "revoked", "active")
    held = await parts.store.grant(third.id)
    values = {"ends_ms": now_ms() - 1}
    await parts.ledger.commit(Write(updates=[Update(GRANTS, third.id, held.rev, values)]))
    assert await end_grants(parts.ledger, parts.store) == 1
    await check("suspended", "revoked", "ended")


async def test_a_disabled_clients_grants_are_over(world):
    """Disabling is for good; the grant's own state stays what it is."""
    parts, platform = world.parts, world.platform.org_id
    client = await world.client(world.sme.org_id)
    answer = await world.ask(replace(world.sme, client_id=client.id))
    kept = await world.ask()
    store, start = StatusStore(parts.ledger), await parts.ledger.size()
    await world.disable(client.id)
    (grant,) = await read(world, answer)
    found = await store.since(start, (platform,))
    assert found.of(platform) == [(grant.status_index, STATUS_OF["revoked"])]
    _, listed = await store.listed(platform)
    assert (listed[grant.status_index], listed[kept.grant.status_index]) == (1, 0)


async def test_lists_are_a_platforms_own(world):
    parts = world.parts
    other = await world.join("platform")
    answer = await world.ask()
    start = await parts.ledger.size()
    await world.revoke(answer.grant.id)
    store = StatusStore(parts.ledger)
    _, listed = await store.listed(other.org_id)
    assert listed.encode() == StatusList(status_store.SMALLEST).encode()
    found = await store.since(start, (other.org_id,))
    assert (found.log_index, found.of(other.org_id)) == (await parts.ledger.size(), ())


async def test_indexes_are_drawn_by_chance_and_never_twice(database, world, monkeypatch):
    """In a space so small that most draws of a batch meet others; nobody notices."""
    monkeypatch.setattr(vacant, "SPACES", (3,) * 4 + (9,) * 12)
    clients = [await world.client(world.sme.org_id) for _ in range(24)]
    answers = await asyncio.gather(
        *(world.ask(replace(world.sme, client_id=client.id)) for client in clients)
    )
    said = {answer.grant.id: answer.grant.status_index for answer in answers}
    rows = database.sql("SELECT id, status_index FROM grants")
    assert dict(rows) == said
    assert len(set(said.values())) == 24
    assert any(index >= 8 for index in said.values())
    assert list(said.values()) != sorted(said.values())


async def test_where_no_index_is_left_the_grant_fails_alone(database, world, monkeypatch):
    monkeypatch.setattr(vacant, "SPACES", (1,) * 16)
    clients = [await world.client(world.sme.org_id) for _ in range(4)]
    asked = (world.ask(replace(world.sme, client_id=client.id)) for client in clients)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, Unavailable) for each in answers) == 2
    assert sorted(database.sql("SELECT status_index FROM grants")) == [(0,), (1,)]
    assert not (await world.ask(purpose="credit_scoring")).grant  # the log goes on


async def test_after_too_much_the_list_is_fetched_again(world, monkeypatch):
    parts, platform = world.parts, world.platform.org_id
    store, size = StatusStore(parts.ledger), await parts.ledger.size()
    assert (await store.since(size, (platform,))).of(platform) == ()
    assert (await store.since(size + 1, (platform,))).of(platform) is None
    monkeypatch.setattr(status_store, "MOST_LEAVES", 3)
    assert (await store.since(size - 4, (platform,))).of(platform) is None
    monkeypatch.setattr(status_store, "MOST_LEAVES", 100)
    monkeypatch.setattr(status_store, "MOST_CHANGES", 1)
    for purpose in PURPOSES:
        await world.ask(purpose=purpose)
    other = await world.join("platform")
    await world.suspend(world.offering.id)
    found = await store.since(size, (platform, other.org_id))
    assert found.of(platform) is None
    assert found.of(other.org_id) == ()


async def test_the_feed_tells_each_change_once_whoever_joins_when(world):
    """Listeners that come and go while grants change: a catch-up and news leave nothing out."""
    parts, platform = world.parts, world.platform.org_id
    clients = [await world.client(world.sme.org_id) for _ in range(6)]
    answers = [await world.ask(replace(world.sme, client_id=client.id)) for client in clients]
    feed = StatusFeed(StatusStore(parts.ledger))
    following = asyncio.create_task(feed.run())

    async def listen(start, until):
        statuses = {}
        with feed.listen(platform) as listener:
            await listener.joined.wait()
            found, _ = await feed.look(start, platform)
            statuses.update(found.of(platform))
            at = found.log_index
            while sum(statuses.values()) < until:
                news = await listener.news.get()
                if news.log_index > at:
                    statuses.update(news.changes)
                    at = news.log_index
        return statuses

    start = await parts.ledger.size()
    listening = []
    for n, answer in enumerate(answers):
        listening.append(asyncio.create_task(listen(start, until=len(answers))))
        await world.revoke(answer.grant.id)
        await asyncio.sleep(0.01 * (n % 3))
    async with asyncio.timeout(20):
        heard = await asyncio.gather(*listening)
    following.cancel()
    expected = {answer.grant.status_index: 1 for answer in answers}
    assert heard == [expected] * len(answers)
    assert not feed._listeners


def test_every_kind_of_leaf_is_judged():
    """A new kind of leaf must be said to change statuses, or not to."""
    changing = {
        *("grant.activated.v1", "grant.ended.v1", "grant.renewed.v1"),
        *("grant.revoked.v1", "grant.revoked.v2"),
        *("hold.placed.v1", "hold.lifted.v1"),
        *("client.approved.v1", "client.disabled.v1", "client.rejected.v1"),
    }
    kinds = {path.stem for path in SCHEMAS.glob("*.json")}
    assert {f"exchange.{kind}" for kind in kinds - changing} == HARMLESS


def test_a_kind_that_nobody_judged_is_looked_up():
    leaves = [("exchange.grant.moved.v1", "grt_1"), ("exchange.log.opened.v1", "grt_2")]
    leaves += [("exchange.new.v1", name) for name in ("off_1", "org_1", "cli_1", "key_1")]
    found = Touched.of(leaves)
    assert (found.grants, found.offerings) == (["grt_1"], ["off_1"])
    assert (found.organisations, found.clients) == (["org_1"], ["cli_1"])


def run(database, verb, to):
    config, db = Config(), Database(database.settings().database)
    config.set_main_option("script_location", str(SCRIPTS))
    try:
        with db.writing() as connection:
            config.attributes["connection"] = connection
            verb(config, to)
    finally:
        db.close()


async def test_grants_of_before_get_their_places_by_the_migration(database):
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        clients = [await world.client(world.sme.org_id) for _ in range(5)]
        asked = [await world.ask(replace(world.sme, client_id=client.id)) for client in clients]
        leaves = {answer.grant.id: answer.grant.leaf_index for answer in asked}
    run(database, command.downgrade, "0019")
    assert dict(database.sql("SELECT id, status_index FROM grants")) == leaves  # as it was called
    run(database, command.upgrade, "head")
    assert dict(database.sql("SELECT id, leaf_index FROM grants")) == leaves
    places = [index for (index,) in database.sql("SELECT status_index FROM grants")]
    assert len({*places}) == 5
    assert all(0 <= index < 1 << 20 for index in places)
    async with open_exchange(database) as parts:
        assert (await parts.store.grant(asked[0].grant.id)).status_index in places


@pytest.mark.sqlite
def test_a_number_is_looked_up_in_the_index(sqlite):
    """However many grants there are: the whole index was walked for a row of values once."""
    db = sqlite.connect()
    with db.writing() as connection:
        query = vacant._taken(connection, GRANTS, ("log_id", "provider_id"), "status_index")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("l", "o", "[1]")).all()
    db.close()
    wanted = "ix_grants_status_index (provider_id=? AND log_id=? AND status_index=?)"
    assert any("SEARCH grants" in step[3] and wanted in step[3] for step in plan)
