"""On a real server: deliveries are whole or broken off, never padded, and their ends are told."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.gateway import stream
from tests.unit.connectors.served import (
    ask,
    connect,
    exchange,
    read_head,
    read_on,
    run,
    serving,
    until,
)
from tests.unit.connectors.world import World, make_world, url

SIZE = 24 << 20
NAME = "big.bin"


@pytest.fixture
def big(tmp_path):
    world = run(make_world(tmp_path, {NAME: os.urandom(SIZE), "small.csv": b"a,b\n1,2\n"}))
    with serving(world.app) as port:
        yield world, port
    world.files.close()


def bearer(world: World) -> str:
    return f"Authorization: {world.bearer()['Authorization']}"


def test_a_big_object_arrives_whole(big) -> None:
    world, port = big
    status, data = exchange(port, url(NAME), bearer(world))
    assert status == 200
    body = data.partition(b"\r\n\r\n")[2]
    assert hashlib.sha256(body).digest() == hashlib.sha256(world.content[NAME]).digest()
    until(lambda: world.door.ends)
    assert world.door.ends == {"use_0": (SIZE, True)}


def test_ranges_fetched_at_once_make_the_whole(big) -> None:
    world, port = big
    step = SIZE // 8
    asked = [f"Range: bytes={at}-{at + step - 1}" for at in range(0, SIZE, step)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda line: exchange(port, url(NAME), bearer(world), line), asked))
    assert {status for status, _ in answers} == {206}
    assert b"".join(data.partition(b"\r\n\r\n")[2] for _, data in answers) == world.content[NAME]
    until(lambda: len(world.door.ends) == 8)
    assert set(world.door.ends.values()) == {(step, True)}


def test_a_connection_serves_one_request_after_another(big) -> None:
    world, port = big
    with connect(port) as connection:
        for name in ["small.csv", NAME, "small.csv"]:
            ask(connection, url(name), bearer(world))
            status, headers, body = read_head(connection)
            body += read_on(connection, int(headers["content-length"]) - len(body))
            assert (status, body) == (200, world.content[name])


@pytest.mark.parametrize("harm", ["truncated", "overwritten"])
def test_a_file_that_changes_meanwhile_breaks_the_connection(big, harm: str) -> None:
    world, port = big
    with connect(port) as connection:
        ask(connection, url(NAME), bearer(world))
        status, headers, body = read_head(connection)
        assert (status, headers["content-length"]) == (200, str(SIZE))
        with (world.folder / NAME).open("r+b") as file:
            if harm == "truncated":
                file.truncate(SIZE - 1000)
            else:
                file.seek(SIZE - 1000)
                file.write(b"other")
        body += read_on(connection, SIZE)
    assert len(body) < SIZE
    assert body == world.content[NAME][: len(body)]
    until(lambda: world.door.ends)
    ((sent, complete),) = world.door.ends.values()
    assert not complete
    assert len(body) <= sent < SIZE
    assert exchange(port, url("small.csv"), bearer(world))[0] == 200, "the server goes on"
    assert exchange(port, url(NAME), bearer(world))[0] == 409, "the next request is refused at once"


def test_a_reader_that_leaves_is_noticed_and_counted(big) -> None:
    world, port = big
    with connect(port) as connection:
        ask(connection, url(NAME), bearer(world))
        _, _, body = read_head(connection)
        got = len(body + read_on(connection, 1 << 20))
    until(lambda: world.door.ends)
    ((sent, complete),) = world.door.ends.values()
    assert not complete
    assert got - 300 <= sent < SIZE


def test_a_reader_that_reads_nothing_is_cut(big, monkeypatch: pytest.MonkeyPatch) -> None:
    world, port = big
    monkeypatch.setattr(stream, "STALL_SECONDS", 0.3)
    with connect(port) as connection:
        ask(connection, url(NAME), bearer(world))
        until(lambda: world.door.ends)
        ((sent, complete),) = world.door.ends.values()
        assert not complete
        assert sent < SIZE
        assert len(read_on(connection, SIZE + 5000)) < SIZE


def test_files_are_closed_however_a_delivery_ends(big) -> None:
    world, port = big
    exchange(port, url("small.csv"), bearer(world))
    path = str(world.folder / NAME)

    def held() -> int:
        return sum(os.path.realpath(link) == path for link in Path("/proc/self/fd").iterdir())

    for _ in range(3):
        with connect(port) as connection:
            ask(connection, url(NAME), bearer(world))
            read_head(connection)
            assert held()
    until(lambda: len(world.door.ends) == 4)
    assert held() == 0
