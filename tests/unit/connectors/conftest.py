"""Fixtures of the gateway's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.connectors.world import World, make_world

CONTENT = {
    "january.csv": bytes(range(256)) * 3000,
    "2013/二月.csv": "日期,延误\n".encode() * 50,
    "empty.txt": b"",
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await make_world(tmp_path, CONTENT)
    yield made
    made.files.close()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as client:
        yield client
