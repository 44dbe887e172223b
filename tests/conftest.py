"""Fixtures for every test: a database of one's own, once on SQLite and once on PostgreSQL."""

import pytest

from tests.support.ledgers import OwnDatabase, open_exchange, open_ledger

SQLITE = pytest.param("sqlite", marks=pytest.mark.sqlite)
POSTGRES = pytest.param("postgres", marks=pytest.mark.postgres)


@pytest.fixture(params=[SQLITE, POSTGRES])
def database(request, tmp_path):
    """An empty database and its state folder, of both kinds in turn."""
    yield from own_database(request.param, tmp_path)


@pytest.fixture
def sqlite(tmp_path):
    """The same for what only SQLite does; the test marks itself `sqlite`."""
    yield from own_database("sqlite", tmp_path)


@pytest.fixture
def postgres(tmp_path):
    """The same for what only PostgreSQL does; the test marks itself `postgres`."""
    yield from own_database("postgres", tmp_path)


def own_database(kind, folder):
    made = OwnDatabase(kind, folder / "state")
    yield made
    made.remove()


@pytest.fixture
def ledger(database):
    """A ledger with its log opened, on the database of this test."""
    with open_ledger(database) as opened:
        yield opened


@pytest.fixture
async def exchange(database):
    """Every part of an exchange but HTTP."""
    async with open_exchange(database) as parts:
        yield parts
