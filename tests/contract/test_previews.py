"""Schemas and samples on both databases: read at publication, kept with the version."""

import json
from dataclasses import replace

import pytest

from exchange.catalog.preview import read_preview, shown_samples
from exchange.errors import NotFound
from tests.support.desk import World, open_world

CSV = b"day,kilograms\n2026-01-01,1200\n2026-01-02,1340\n2026-01-03,1500\n"
SAMPLE = {"name": "rows.csv", "columns": ["day", "kilograms"], "rows": [["2026-01-01", 1200]]}


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def content(data: bytes):
    yield data


async def publish(world: World, data: bytes = CSV, name: str = "rows.csv", **terms):
    await world.sources.store(world.platform.org_id, name, content(data))
    source = {"connector": "files", "path": name}
    return await world.publish(source=source, **terms)


async def preview(world: World, offering):
    return await read_preview(world.parts.db, offering.id, offering.version)


async def test_a_schema_is_read_when_a_dataset_is_published(world):
    offering = await publish(world)
    kept = await preview(world, offering)
    assert kept.tables == [
        {
            "name": "rows.csv",
            "format": "csv",
            "columns": [
                {"name": "day", "type": "date32[day]", "nullable": True},
                {"name": "kilograms", "type": "int64", "nullable": True},
            ],
            "column_count": 2,
            "row_count": 3,
        }
    ]
    assert kept.samples == []
    with pytest.raises(NotFound) as refused:
        shown_samples(kept, offering)
    assert refused.value.code == "sample_unknown"


async def test_a_sample_has_as_many_rows_as_the_terms_say(world):
    offering = await publish(world, sample_rows=1)
    assert shown_samples(await preview(world, offering), offering) == [SAMPLE]


async def test_each_version_keeps_its_own(world):
    first = await publish(world, sample_rows=1)
    world.offering = first
    second = await world.revise(sample_rows=0)
    assert second.version == 2
    assert (await read_preview(world.parts.db, first.id, 1)).samples == [SAMPLE]
    assert (await preview(world, second)).samples == []


@pytest.mark.parametrize(
    "terms",
    [
        {"personal_information": "personal"},
        {"personal_information": "sensitive"},
        {"classification": "important"},
        {"classification": "core"},
    ],
)
async def test_rows_that_need_protection_are_neither_kept_nor_shown(database, world, terms):
    """Not even where a row was stored all the same, by whatever fault."""
    offering = await publish(world, sample_rows=3, **terms)
    assert (await preview(world, offering)).samples == []
    database.sql(
        "UPDATE offering_previews SET samples = ? WHERE offering_id = ?",
        json.dumps([SAMPLE]),
        offering.id,
    )
    kept = await preview(world, offering)
    assert kept.samples == [SAMPLE]
    with pytest.raises(NotFound) as refused:
        shown_samples(kept, offering)
    assert refused.value.code == "sample_unknown"


async def test_a_withdrawn_offering_shows_no_rows(world):
    world.offering = await publish(world, sample_rows=1)
    withdrawn = await world.withdraw()
    with pytest.raises(NotFound):
        shown_samples(await preview(world, withdrawn), withdrawn)


async def test_fewer_rows_are_shown_as_soon_as_the_terms_say_so(world):
    offering = await publish(world, sample_rows=3)
    kept = await preview(world, offering)
    fewer = replace(offering, terms=replace(offering.terms, sample_rows=1))
    assert shown_samples(kept, fewer) == [SAMPLE]


@pytest.mark.parametrize("data", [b"", b"\xff\x00" * 40, b"a,b\n1\n"])
async def test_what_is_no_table_is_published_without_a_schema(world, data):
    offering = await publish(world, data, sample_rows=2)
    assert offering.status == "published"
    with pytest.raises(NotFound) as refused:
        await preview(world, offering)
    assert refused.value.code == "schema_unknown"
