"""What attackers are after: a published file, and secrets beside it that are not for delivery."""

from pathlib import Path

import httpx

from tests.unit.connectors.world import World, make_world

DATA = b"carrier,delay\nUA,2\n" * 100
SECRET = b"root:x:0:0:this is not for delivery"
NAME = "flights.csv"


async def make_attacked(folder: Path) -> World:
    made = await make_world(folder / "data", {NAME: DATA})
    (folder / "secret").write_bytes(SECRET)
    (made.root / "org_other").mkdir()
    (made.root / "org_other" / "secret").write_bytes(SECRET)
    return made


def code(answer: httpx.Response) -> str:
    return answer.json()["type"].removeprefix("urn:exchange:problem:")


def nothing_left(world: World, answer: httpx.Response) -> None:
    assert DATA[:20] not in answer.content
    assert SECRET not in answer.content
    assert str(world.root) not in answer.text
    assert not world.door.uses


def lines(world: World, *more: str) -> tuple[str, ...]:
    return (f"Authorization: {world.bearer()['Authorization']}", *more)
