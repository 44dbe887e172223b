"""Searching the catalog on both databases: exact, in step with every change, private kept so."""

from dataclasses import replace
from functools import partial

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from exchange.catalog import search
from exchange.catalog.documents import may_know
from exchange.catalog.index import index_of
from exchange.catalog.keep_index import new_entry
from exchange.catalog.model import Offering
from exchange.catalog.publish_offering import draft_offering, publish_offering, revise_offering
from exchange.catalog.search import find, wanted_by
from exchange.catalog.store import OFFERINGS, values_of
from exchange.errors import BadInput, NotFound
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.write import Delete, Insert, Write
from exchange.migrate import SCRIPTS, migrate
from exchange.participants.store import ORGANISATIONS
from tests.support.desk import TERMS, open_world
from tests.support.judge import judge
from tests.support.ledgers import organisation


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def found(world, caller, q=None, **facets):
    page, _ = await world.parts.catalog.search(wanted_by(caller, q, **facets), None, 50)
    return [offering.id for offering in page]


def in_step(database, catalog_rows):
    """The index holds of every offering what its row says now, and nothing else."""
    expected = {
        (term, row.id)
        for row in catalog_rows
        for term in index_of(row.provider_id, row.status, row.terms).terms
    }
    assert set(database.sql("SELECT term, offering_id FROM offering_terms")) == expected
    kept = database.sql("SELECT id, text FROM offering_search")
    assert dict(kept) == {
        row.id: index_of(row.provider_id, row.status, row.terms).text for row in catalog_rows
    }


async def rows(world):
    return await world.parts.db.read(lambda c: c.execute(OFFERINGS.select()).all())


async def test_two_chinese_characters_and_parts_of_words_are_found(world):
    made = await world.publish(title_zh="铁路物流量", description_en="Rail Freight by day")
    for query in ("物流", "流", "铁路物流量", "reigh", "FREIGHT", "rail 物流", "ｒａｉｌ", "day"):
        assert await found(world, world.sme, query) == [made.id], query
    for query in ("物量", "流 公路", "freights", "z"):
        assert await found(world, world.sme, query) == [], query
    assert await found(world, world.sme, " ") == [made.id, world.offering.id]


async def test_a_query_means_what_it_says_and_no_pattern(world):
    made = await world.publish(title_en="100% of_it\\ 'x'")
    for query in ("100%", "of_it", "\\", "'x'", "%"):
        assert await found(world, world.sme, query) == [made.id], query
    assert await found(world, world.sme, "1%0") == []


async def test_facets_are_or_within_and_and_between(world):
    retail = await world.publish(industries=("retail",), jurisdictions=("SG", "CN"))
    postal = await world.publish(industries=("postal", "retail"), classification="important")
    both = [postal.id, retail.id]
    assert await found(world, world.sme, industry=["retail"]) == both
    assert await found(world, world.sme, industry=["postal", "retail", "retail"]) == both
    assert await found(world, world.sme, industry=["retail"], jurisdiction=["SG"]) == [retail.id]
    assert await found(world, world.sme, industry=["postal"], jurisdiction=["SG"]) == []
    assert await found(world, world.sme, platform=[world.sme.org_id]) == []
    assert len(await found(world, world.sme, platform=[world.platform.org_id])) == 3


async def test_what_was_revised_or_withdrawn_is_not_found_by_what_it_was(database, world):
    world.offering = await world.publish(title_en="Zebra crossings", title_zh="斑马线")
    in_step(database, await rows(world))
    assert await found(world, world.sme, "zebra") == [world.offering.id]
    revised = await world.revise(title_en="Level crossings", title_zh="平交道口")
    in_step(database, await rows(world))
    assert await found(world, world.sme, "zebra") == await found(world, world.sme, "斑马") == []
    assert await found(world, world.sme, "level") == [revised.id]
    await world.withdraw()
    in_step(database, await rows(world))
    assert await found(world, world.sme, "level") == []
    assert await found(world, world.platform, "level") == [revised.id]  # its own in every state
    assert await found(world, world.operator, "平交") == [revised.id]
    judge(database.sql)


async def test_a_draft_is_found_by_its_platform_only_and_as_it_was_last_written(database, world):
    parts, mine = world.parts, world.platform
    rival = await world.join("platform")
    draft = await draft_offering(
        parts.ledger, parts.catalog, mine, replace(TERMS, title_en="Quokka")
    )
    assert await found(world, mine, "quokka") == [draft.id]
    assert await found(world, rival, "quokka") == await found(world, world.sme, "quokka") == []
    terms = replace(TERMS, title_en="Wombat")
    await revise_offering(parts.ledger, parts.catalog, world.sources, mine, draft.id, terms)
    assert await found(world, mine, "quokka") == []
    assert await found(world, mine, "wombat") == [draft.id]
    in_step(database, await rows(world))


async def test_a_private_offering_is_there_for_its_audience_alone(world):
    friend, rival = await world.join("sme"), await world.join("platform")
    made = await world.publish(title_en="Secret", audience=(friend.org_id,))
    for caller in (friend, world.platform, world.operator):
        assert made.id in await found(world, caller)
        assert await found(world, caller, "secret") == [made.id]
        assert may_know(made, caller)
    auditor = Caller("cli_1", rival.org_id, rival.roles, rival.scopes, sight=frozenset())
    for caller in (world.sme, rival, auditor):
        assert made.id not in await found(world, caller)
        assert await found(world, caller, "secret") == []
        assert await found(world, caller, "secret", platform=[world.platform.org_id]) == []
        assert not may_know(made, caller)
    sighted = replace(auditor, sight=frozenset({world.platform.org_id}))
    assert await found(world, sighted, "secret") == [made.id]
    with pytest.raises(NotFound) as refused:  # as if there were none, for those who change too
        await revise_offering(
            world.parts.ledger, world.parts.catalog, world.sources, rival, made.id, TERMS
        )
    assert refused.value.code == "offering_unknown"


async def test_it_becomes_private_and_public_again(world):
    world.offering = await world.publish(title_en="Secret")
    assert await found(world, world.sme, "secret") == [world.offering.id]
    await world.revise(audience=(world.operator.org_id,))
    assert await found(world, world.sme, "secret") == []
    await world.revise(audience=None)
    assert await found(world, world.sme, "secret") == [world.offering.id]


async def test_an_audience_of_nobody_is_refused(world):
    parts, nobody = world.parts, new_id("org")
    terms = replace(TERMS, audience=(world.sme.org_id, nobody))
    with pytest.raises(BadInput) as refused:
        await draft_offering(parts.ledger, parts.catalog, world.platform, terms)
    assert (refused.value.code, refused.value.status_code) == ("audience_unknown", 422)
    assert nobody in refused.value.detail
    assert world.sme.org_id not in refused.value.detail
    with pytest.raises(BadInput):
        await world.revise(audience=(nobody,))


async def test_pages_are_newest_first_without_gap_or_repetition(world):
    for _ in range(4):
        await world.publish()
    whole = await found(world, world.sme)
    assert whole == sorted(whole, reverse=True)
    assert len(whole) == 5
    walked, after = [], None
    while True:
        wanted = wanted_by(world.sme, "flights")
        page, after = await world.parts.catalog.search(wanted, after, 2)
        walked += [offering.id for offering in page]
        if after is None:
            break
    assert walked == whole


async def test_a_name_is_found_at_once_and_what_never_meets_in_pages_that_end(world, monkeypatch):
    monkeypatch.setattr(search, "FEW", 3)
    monkeypatch.setattr(search, "SOME", 3)
    parts = [("Apples", "one"), ("Pears", "two")] * 6
    made = [await world.publish(title_en=f"{a} of {b} x{n}z") for n, (a, b) in enumerate(parts)]
    assert await found(world, world.sme, "x0z") == [made[0].id]
    assert await found(world, world.sme, "apples of one x0z") == [made[0].id]
    after, pages = None, 0
    while pages == 0 or after is not None:
        ask = partial(
            find, wanted=wanted_by(world.sme, "apples two"), after=after, limit=50, budget=4
        )
        page = world.parts.db.read_now(ask)
        assert page.ids == []
        after, pages = page.next, pages + 1
    assert 2 <= pages <= 4


async def test_rows_go_with_the_write_and_its_refusal_keeps_them(database, exchange):
    ledger = exchange.ledger
    await ledger.commit(Write(inserts=[organisation("org_a"), organisation("org_b")]))
    gone = Delete(ORGANISATIONS, {"id": "org_a", "status": "active"})
    other = Delete(ORGANISATIONS, {"id": "org_b", "status": "suspended"})  # no such row: no harm
    with pytest.raises(Exception, match="stale"):
        await ledger.commit(Write(reads={(ORGANISATIONS, "org_b"): 9}, deletes=[gone]))
    ids = "SELECT id FROM organisations WHERE id IN ('org_a', 'org_b') ORDER BY id"
    assert database.sql(ids) == [("org_a",), ("org_b",)]
    again = organisation("org_a", name_en="New")  # what goes may come anew in the same write
    await ledger.commit(Write(deletes=[gone, other], inserts=[again]))
    assert database.sql(ids) == [("org_a",), ("org_b",)]
    assert database.sql("SELECT name_en FROM organisations WHERE id = 'org_a'") == [("New",)]


# ---- how, and since when -----------------------------------------------------------------------


ASKED = [
    ("", {}),
    ("物流", {}),
    ("物流 ra", {}),
    ("freight", {}),  # by a list, since many have it
    ("x700y", {}),  # by a range, since one has it
    ("物流公路 freight", {"industry": ["retail", "postal"], "kind": ["dataset"]}),
    ("", {"platform": ["org_" + "0" * 26]}),
]


async def test_the_plans_walk_indexes(database, world):
    """No statement of any search reads a whole table, nor sorts what a list has in order."""
    inserts = []
    for n in range(1500):
        terms = replace(
            TERMS,
            title_en=f"Rail freight x{n}y",
            title_zh="铁路物流公路" if n % 2 else "公路物流",
            industries=("retail",),
        )
        made = Offering(new_id("off"), world.platform.org_id, 1, "published", terms, (), 1, 0, 0)
        row = {"id": made.id, "rev": 1, **values_of(made)}
        inserts += [Insert(OFFERINGS, row), *new_entry(made)]
    await world.parts.ledger.commit(Write(inserts=inserts))
    if database.kind == "postgres":
        database.sql("ANALYZE")
    plans = []

    def explained(connection):
        verb = "EXPLAIN QUERY PLAN " if database.kind == "sqlite" else "EXPLAIN (COSTS OFF) "
        statements = []

        def note(_connection, _cursor, statement, parameters, _context, _many):
            statements.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        for q, facets in ASKED:
            page = find(connection, wanted_by(world.sme, q, **facets), "off_z", 50)
            assert page.ids or "platform" in facets, (q, facets)
        event.remove(connection, "before_cursor_execute", note)
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(verb + statement, parameters).all()
            plans.append((statement, "\n".join(str(row[-1]) for row in rows)))

    world.parts.db.read_now(explained)
    assert len(plans) > len(ASKED)
    for statement, plan in plans:
        for table in ("offerings", "offering_search", "offering_terms"):
            assert f"SCAN {table}" not in plan, (statement, plan)
            assert f"Seq Scan on {table}" not in plan, (statement, plan)
        if "DISTINCT" not in statement:  # a range's few are sorted; a list has its order
            assert "TEMP B-TREE" not in plan, (statement, plan)
    assert any("DISTINCT" in statement for statement, _ in plans)
    if database.kind == "postgres":
        walk = "Index Only Scan Backward using offering_terms_pkey"
        assert sum(walk in plan for _, plan in plans) > len(ASKED)


@pytest.mark.parametrize("before", ["0005", "0011"])  # without an index, and with shorter grams
async def test_what_stood_there_before_the_index_is_found(database, exchange, before):
    """A database of the version before is brought up to date with its offerings indexed."""
    world = await open_world(exchange)
    private = await world.publish(title_zh="旧物流", audience=(world.sme.org_id,))
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with exchange.db.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, before)
    if before == "0011":
        database.sql("DELETE FROM offering_terms WHERE length(term) > 3 AND term LIKE '~%'")
    exchange.db.readers.dispose()
    exchange.db.writer.dispose()
    migrate(exchange.db)
    in_step(database, await rows(world))
    assert await found(world, world.sme, "物流") == [private.id]
    assert await found(world, world.operator, "flights") == [private.id, world.offering.id]
    if database.kind == "postgres":  # ranges of terms are by code points, in any language
        (collation,) = database.sql(
            "SELECT collation_name FROM information_schema.columns "
            "WHERE table_name = 'offering_terms' AND column_name = 'term'"
        )
        assert collation == ("C",)
    await publish_offering(
        exchange.ledger,
        exchange.catalog,
        exchange.participants,
        world.sources,
        world.platform,
        private.id,
    )
    in_step(database, await rows(world))
