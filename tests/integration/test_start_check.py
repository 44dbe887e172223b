"""A start is refused where signing on would fork the log, and the message says what to do."""

import shutil
import subprocess
import sys

import pytest

from exchange.errors import StartUpError
from exchange.formats.note import Signer
from tests.support.desk import open_world
from tests.support.judge import judge, signed
from tests.support.ledgers import entries, open_exchange, plain
from tests.support.server import ROOT, ExchangeServer


def flip(data, at=0):
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


async def started(database, **settings):
    """Start, and stop again: the size and the checkpoint then."""
    async with open_exchange(database, **settings) as parts:
        return await parts.ledger.size(), await parts.ledger.checkpoint()


async def refused(database, **settings):
    """The message of a start that is refused, and touches nothing."""
    state = "SELECT size, note FROM log_state"
    before = database.sql(state), kept(database)
    with pytest.raises(StartUpError) as error:
        await started(database, **settings)
    assert (database.sql(state), kept(database)) == before
    return str(error.value)


def kept(database):
    return {p.name: p.read_bytes() for p in (database.state / "checkpoints").glob("*.checkpoint")}


@pytest.fixture
async def grown(database):
    """A database whose log holds 600 entries and some, stopped."""
    async with open_exchange(database) as parts:
        await parts.ledger.commit(entries(parts.ledger, 600))
    return database


# -- behind


async def test_a_copy_behind_any_released_checkpoint_is_refused(database):
    copies = {}
    async with open_exchange(database) as parts:
        await open_world(parts)
    for _ in range(3):
        size, _ = await started(database)
        copies[size] = database.save()
        async with open_exchange(database) as parts:
            await parts.ledger.commit(entries(parts.ledger, 1))
    newest, note = await started(database)
    latest = database.save()
    assert list(copies) == [newest - 3, newest - 2, newest - 1]
    for size, restore in copies.items():
        restore()
        said = await refused(database)
        assert f"A checkpoint of {newest} entries was already released" in said
        assert f"holds only {size} (restored from an older copy?)" in said
        assert str(database.state / "checkpoints") in said
        assert f"restore a copy of the database that holds at least {newest} entries" in said
        for line in note.split("\n\n")[0].splitlines():  # the head, to be told to auditors
            assert line in said
    latest()
    assert await started(database) == (newest, note)


async def test_serve_exits_with_2_and_says_why(database):
    size, _ = await started(database)
    restore = database.save()
    async with open_exchange(database) as parts:
        await parts.ledger.commit(entries(parts.ledger, 5))
    restore()
    server = ExchangeServer(database.state, database_url=plain(database.url))
    done = subprocess.run(
        [sys.executable, "-m", "exchange.cli.main", "serve"],
        cwd=ROOT,
        env=server.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done
    assert "The audit log refuses to sign" in done.stderr
    assert f"holds only {size}" in done.stderr
    assert "What to do:" in done.stderr
    assert "restore a copy of the database that holds at least" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_way_out_goes_on_with_the_same_log(database):
    size, note = await started(database)
    restore = database.save()
    async with open_exchange(database) as parts:
        await parts.ledger.commit(entries(parts.ledger, 5))
    newest = database.save()
    restore()
    await refused(database)
    newest()
    async with open_exchange(database) as parts:
        await parts.ledger.commit(entries(parts.ledger, 2))
        verifier = Signer.parse((database.state / "keys/log.key").read_text().strip()).verifier
    judged = judge(database.sql)
    assert judged.size == size + 7
    assert judged.roots[size] == signed(note, verifier)[2]


async def test_a_reader_alone_makes_a_checkpoint_released(database):
    """Shown by /log/checkpoint and to nobody else: that counts, whoever committed it."""
    async with open_exchange(database) as parts:
        pass
    restore = database.save()
    async with open_exchange(database) as parts:
        keep = parts.ledger._keeper.keep
        parts.ledger._keeper.keep = lambda note, size: None  # a worker that died before it kept
        await parts.ledger.commit(entries(parts.ledger, 1))
        parts.ledger._keeper.keep = keep
        shown = await parts.ledger.checkpoint()
    assert shown.encode() in kept(database).values()
    restore()
    assert "refuses to sign" in await refused(database)


async def test_a_database_that_was_lost_is_refused(grown):
    for table in ("tiles", "checkpoints", "entries"):
        grown.sql(f"DELETE FROM {table}")
    grown.sql("DELETE FROM log_state")
    assert "does not know this log" in await refused(grown)


async def test_another_history_of_the_same_size_is_refused(grown):
    """Restored, its checkpoints hidden, and gone on: then the hidden ones come back."""
    folder = grown.state / "checkpoints"
    restore = grown.save()
    async with open_exchange(grown) as parts:
        await parts.ledger.commit(entries(parts.ledger, 3))
    shutil.copytree(folder, grown.state / "hidden")
    restore()
    shutil.rmtree(folder)
    async with open_exchange(grown) as parts:
        await parts.ledger.commit(entries(parts.ledger, 9))
    shutil.rmtree(folder)
    shutil.copytree(grown.state / "hidden", folder)
    size = grown.sql("SELECT size FROM log_state")[0][0] - 6
    assert f"gives another root at {size}" in await refused(grown)


# -- ahead


async def test_ahead_of_what_was_kept_is_normal(grown):
    folder, aside = grown.state / "checkpoints", grown.state / "aside"
    shutil.copytree(folder, aside)
    async with open_exchange(grown) as parts:
        await parts.ledger.commit(entries(parts.ledger, 300))
    newest = await started(grown)
    for older in (aside, None):  # an older checkpoint, or none at all
        shutil.rmtree(folder)
        if older:
            shutil.copytree(older, folder)
        assert await started(grown) == newest


async def test_checkpoints_of_several_workers_count_by_the_newest(grown):
    folder = grown.state / "checkpoints"
    shutil.copy(folder / "worker-0.checkpoint", folder / "worker-7.checkpoint")
    restore = grown.save()
    async with open_exchange(grown) as parts:
        await parts.ledger.commit(entries(parts.ledger, 1))
    restore()
    (folder / "worker-0.checkpoint").rename(folder / "worker-200.checkpoint")
    assert "refuses to sign" in await refused(grown)
    (folder / "worker-200.checkpoint").unlink()
    await started(grown)


# -- damaged


DAMAGE = {
    "a full tile": ("tiles", "hashes", "tile_index = 0", 4000),
    "the newest full tile": ("tiles", "hashes", "tile_index = 1", 8191),
    "a tile's root": ("tiles", "root", "tile_index = 1", 0),
    "a leaf of the partial tile": ("entries", "leaf_hash", "leaf_index = 550", 9),
    "the last leaf": ("entries", "leaf_hash", "leaf_index = (SELECT size - 1 FROM log_state)", 0),
    "the compact range": ("log_state", "compact_range", "size > 0", 40),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_damage_is_refused(grown, what):
    table, column, where, at = DAMAGE[what]
    ((data,),) = grown.sql(f"SELECT {column} FROM {table} WHERE {where}")
    grown.sql(f"UPDATE {table} SET {column} = ? WHERE {where}", flip(bytes(data), at))
    assert "refuses to sign" in await refused(grown)
    shutil.rmtree(grown.state / "checkpoints")  # with nothing kept the database must still agree
    assert "refuses to sign" in await refused(grown)
    grown.sql(f"UPDATE {table} SET {column} = ? WHERE {where}", bytes(data))
    await started(grown)


@pytest.mark.parametrize("gone", ["DELETE FROM tiles WHERE tile_index = 0", "last entry"])
async def test_what_is_missing_is_refused(grown, gone):
    if gone == "last entry":
        gone = "DELETE FROM entries WHERE leaf_index = (SELECT size - 1 FROM log_state)"
    grown.sql(gone)
    assert "refuses to sign" in await refused(grown)


async def test_the_databases_own_checkpoint_must_match(grown):
    ((note,),) = grown.sql("SELECT note FROM log_state")
    (older, *_) = grown.sql("SELECT note FROM checkpoints ORDER BY size")
    for wrong in (older[0], note.replace("\n\n", "x\n\n", 1), ""):
        grown.sql("UPDATE log_state SET note = ?", wrong)
        with pytest.raises(StartUpError, match="refuses to sign"):
            await started(grown)
    grown.sql("UPDATE log_state SET note = ?", note)
    await started(grown)


@pytest.mark.parametrize("at", [3, -20])
async def test_a_damaged_kept_checkpoint_is_refused(grown, at):
    path = grown.state / "checkpoints" / "worker-0.checkpoint"
    path.write_bytes(flip(path.read_bytes(), at))
    said = await refused(grown)
    assert str(path.parent) in said
    assert "must be restored, not deleted" in said


# -- the wrong key


async def test_another_key_is_refused(grown):
    path = grown.state / "keys" / "log.key"
    right = path.read_text()
    origin = Signer.parse(right.strip()).name
    others = {
        "same origin": Signer.generate(origin).secret,
        "other origin": Signer.generate("other.example/log").secret,
        "garbage": "PRIVATE+KEY+" + right[20:],
    }
    for what, secret in others.items():
        path.write_text(secret + "\n")
        assert "key" in await refused(grown), what
    folder = grown.state / "checkpoints"
    hidden = folder.rename(grown.state / "hidden")
    path.write_text(others["same origin"] + "\n")
    with pytest.raises(StartUpError, match="refuses to sign"):
        await started(grown)
    path.unlink()  # a new key would be made, for a new origin
    with pytest.raises(StartUpError, match=f"holds the log {origin}"):
        await started(grown)
    path.write_text(right)
    shutil.rmtree(folder)
    hidden.rename(folder)
    await started(grown)


async def test_an_origin_never_changes(grown):
    said = await refused(grown, log_origin="other.example/log")
    assert "An origin never changes" in said
    origin = grown.sql("SELECT origin FROM log_state")[0][0]
    await started(grown, log_origin=origin)
