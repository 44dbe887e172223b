"""An offering's source may name a connection: its platform's own, of the right kind, and no other.

Connections are put in as rows here; tests/contract/test_connections.py registers them.
"""

from dataclasses import replace

import pytest

from exchange.catalog.publish_offering import draft_offering, publish_offering, revise_offering
from exchange.connections.store import CONNECTIONS
from exchange.errors import BadInput
from exchange.ids import new_id
from exchange.ledger.write import Insert, Stale, Update, Write
from tests.support.desk import TERMS, open_world


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


async def connect(world, org_id: str, kind="http") -> str:
    made = new_id("con")
    row = {"id": made, "org_id": org_id, "kind": kind, "name": "a", "url": "https://a.example/"}
    row |= {"settings": {}, "credential": None, "replaced_ms": None, "salt": "", "rev": 1}
    row |= {"status": "active", "created_ms": 0, "changed_ms": 0}
    await world.parts.ledger.commit(Write(inserts=[Insert(CONNECTIONS, row)]))
    return made


def served_by(connection: str, connector="http"):
    source = {"connector": connector, "connection": connection, "allow": ["GET /*"]}
    return replace(TERMS, kind="compute", source=source)


async def draft(world, terms, by=None):
    parts = world.parts
    return await draft_offering(parts.ledger, parts.catalog, by or world.platform, terms)


async def publish(world, offering):
    parts = world.parts
    return await publish_offering(
        parts.ledger, parts.catalog, parts.participants, world.sources, world.platform, offering.id
    )


async def test_ones_own_connection_may_be_published(world):
    named = await connect(world, world.platform.org_id)
    made = await publish(world, await draft(world, served_by(named)))
    assert made.status == "published"
    found = await world.parts.catalog.published_with(world.platform.org_id, named, 5)
    assert list(found) == [made.id]
    assert not await world.parts.catalog.published_with(world.platform.org_id, "con_x", 5)


async def test_others_and_unknown_ones_are_refused_alike(world):
    rival = await world.join("platform")
    theirs = await connect(world, rival.org_id)
    other_kind = await connect(world, world.platform.org_id, "s3")
    said = set()
    for named in (theirs, other_kind, new_id("con")):
        with pytest.raises(BadInput) as refused:
            await draft(world, served_by(named))
        said.add((refused.value.code, refused.value.status_code, refused.value.detail))
    assert {code for code, _, _ in said} == {"connection_unknown"}
    assert len(said) == 1


async def test_revising_and_publishing_check_it_again(world):
    parts = world.parts
    named = await connect(world, world.platform.org_id)
    offering = await draft(world, served_by(named))
    chain = (parts.ledger, parts.catalog, world.sources, world.platform, offering.id)
    with pytest.raises(BadInput, match="no connection of yours"):
        await revise_offering(*chain, served_by(new_id("con")))
    published = await publish(world, offering)
    with pytest.raises(BadInput, match="no connection of yours"):
        await revise_offering(*chain, served_by(new_id("con")))
    assert (await parts.catalog.offering(offering.id)).version == published.version
    held = await parts.catalog.connections.own(world.platform.org_id, named)
    await parts.ledger.commit(
        Write(updates=[Update(CONNECTIONS, named, held.rev, {"status": "removed"})])
    )
    with pytest.raises(BadInput, match="no connection of yours"):
        await publish(world, offering)


async def test_a_publication_makes_whoever_removes_the_connection_look_again(world):
    named = await connect(world, world.platform.org_id)
    offering = await draft(world, served_by(named))
    seen = await world.parts.catalog.connections.own(world.platform.org_id, named)
    await publish(world, offering)
    with pytest.raises(Stale):
        await world.parts.ledger.commit(
            Write(updates=[Update(CONNECTIONS, named, seen.rev, {"status": "removed"})])
        )
