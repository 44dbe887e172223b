"""A use that runs: told of changes, looked at anyway, extended while it lasts."""

import asyncio
import time
from pathlib import Path

import pytest

from connectors.gateway import recorded
from connectors.gateway.door import DoorRefused
from connectors.gateway.problems import GatewayProblem
from connectors.gateway.recorded import AHEAD_BYTES, Recorded
from tests.unit.connectors.world import GRANT, World, make_world


@pytest.fixture
async def world(tmp_path: Path) -> World:
    return await make_world(tmp_path, {"january.csv": b"a"})


def begun(world: World) -> Recorded:
    return Recorded(
        world.door, world.door.grants[GRANT], "use_1", lambda: time.time_ns() // 1_000_000
    )


async def test_a_change_is_acted_on_at_once_and_not_at_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "LOOK_SECONDS", 60)
    over = asyncio.create_task(begun(world).until_over())
    await asyncio.sleep(0.01)
    world.door.change(rev=8)  # it still stands
    await asyncio.sleep(0.01)
    assert not over.done()
    world.door.change(status="revoked")
    await asyncio.wait_for(over, 5)
    assert world.door.watching == set()


@pytest.mark.parametrize("why", ["revoked", "suspended", "ended", "unknown", "away"])
async def test_it_is_over_though_nobody_told(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(recorded, "LOOK_SECONDS", 0.01)
    over = asyncio.create_task(begun(world).until_over())
    await asyncio.sleep(0.05)
    assert not over.done()
    world.door.watching.clear()
    if why == "unknown":
        del world.door.grants[GRANT]
    elif why == "away":
        world.door.away.add("look_up")
    elif why == "ended":
        world.door.change(ends_ms=0)
    else:
        world.door.change(status=why)
    await asyncio.wait_for(over, 5)


@pytest.mark.parametrize("obligation", ["bytes", "concurrent"])
async def test_a_lease_is_extended_while_it_lasts(
    world: World, monkeypatch: pytest.MonkeyPatch, obligation: str
) -> None:
    monkeypatch.setattr(recorded, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(recorded, "LEASE_SECONDS", 0.06)
    world.door.change(obligations={"days": 1, obligation: 5})
    over = asyncio.create_task(begun(world).until_over())
    while len(world.door.extended) < 3:
        await asyncio.sleep(0.01)
    assert set(world.door.extended) == {("use_1", 0)}
    assert not over.done()
    world.door.away.add("extend")
    await asyncio.wait_for(over, 5)


async def test_where_nothing_is_counted_no_lease_is_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(recorded, "LEASE_SECONDS", 0.03)
    run = begun(world)
    over = asyncio.create_task(run.until_over())
    await run.spend(10)
    await asyncio.sleep(0.1)
    assert world.door.extended == []
    over.cancel()


async def test_bytes_of_an_answer_are_reserved_ahead_and_at_the_end_as_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.door.change(obligations={"days": 1, "bytes": 5})
    run = begun(world)
    await run.spend(1)  # it began with that
    assert world.door.extended == []
    await run.spend(10)
    await run.spend(AHEAD_BYTES - 10)
    assert world.door.extended == [("use_1", AHEAD_BYTES)]
    await run.spend(AHEAD_BYTES * 2)
    assert world.door.extended[1:] == [("use_1", AHEAD_BYTES * 2)]

    async def hardly(use_id: str, more_bytes: int) -> None:
        if more_bytes > 3:
            raise DoorRefused("bytes_exhausted", "3 are left.")

    monkeypatch.setattr(world.door, "extend", hardly)
    await run.spend(3)
    with pytest.raises(GatewayProblem) as refused:
        await run.spend(4)
    assert refused.value.code == "bytes_exhausted"


async def test_a_refused_extension_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(use_id: str, more_bytes: int) -> None:
        raise DoorRefused("use_over", "It was given up.")

    monkeypatch.setattr(recorded, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(recorded, "LEASE_SECONDS", 0.03)
    world.door.change(obligations={"days": 1, "concurrent": 5})
    monkeypatch.setattr(world.door, "extend", refuse)
    await asyncio.wait_for(begun(world).until_over(), 5)
