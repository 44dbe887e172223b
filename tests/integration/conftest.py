"""Where races take place: on one worker over SQLite, and between two over PostgreSQL."""

import pytest

from tests.support.desk import open_world
from tests.support.ledgers import OwnDatabase, open_exchange
from tests.support.race import on


@pytest.fixture(
    params=[
        pytest.param(("sqlite", 1), id="sqlite", marks=pytest.mark.sqlite),
        pytest.param(("postgres", 2), id="two workers", marks=pytest.mark.postgres),
    ]
)
async def place(request, tmp_path):
    """The database, and the world as each of two callers finds it: on one worker or on two."""
    kind, count = request.param
    database = OwnDatabase(kind, tmp_path / "state")
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        world.offering = await world.publish(approval="provider", approvers=1)
        if count == 1:
            yield database, world, world
        else:
            async with open_exchange(database) as others:
                yield database, world, on(world, others)
    database.remove()
