"""The ordinary actors behind the whole application, for tests that speak HTTP to it; fixtures."""

import pytest

from tests.support.desk import open_world
from tests.support.web import serve


@pytest.fixture
async def web(database):
    async with serve(database) as served:
        yield served


@pytest.fixture
async def world(web):
    return await open_world(web.parts)
