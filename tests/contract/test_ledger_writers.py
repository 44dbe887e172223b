"""Who may write: on PostgreSQL several at once, on SQLite one; on both only durably."""

import asyncio
import os
import subprocess
import sys
import threading

import pytest
from sqlalchemy import event, text

from exchange.db import Database
from exchange.errors import StartUpError
from exchange.formats import receipt as receipts
from exchange.formats.note import Signer, Verifier
from exchange.ledger.keep import Keeper
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Committed, Spend, Write
from exchange.parts import open_database
from tests.support.infra import ROOT, infra_module, postgres_server
from tests.support.judge import judge_log
from tests.support.ledgers import (
    entries,
    kinds,
    once,
    open_exchange,
    open_ledger,
    organisation,
    outcomes,
    rename,
)


@pytest.fixture
def pair(postgres):
    """Two ledgers on one log, as two worker processes open them."""
    signer = Signer.generate("log.example/test")
    with (
        open_ledger(postgres, signer=signer) as one,
        open_ledger(postgres, signer=signer) as two,
    ):
        yield one, two


@pytest.mark.postgres
async def test_two_writers_make_one_log(postgres, pair):
    one, two = pair
    assert one.log_id == two.log_id
    assert one._keeper.path != two._keeper.path
    writes = [
        entries(one, 1 + n % 3, once=[once(f"k{n // 2}", {"n": n})], spends=[Spend("s", 1, 150)])
        for n in range(400)
    ]
    seen = []

    async def follow():
        async for leaves in two.follow(0, limit=50):
            seen.extend(leaf.index for leaf in leaves)

    follower = asyncio.create_task(follow())
    halves = await asyncio.gather(outcomes(one, writes[::2]), outcomes(two, writes[1::2]))
    done = [result for both in zip(*halves, strict=True) for result in both]
    committed = [r for r in done if isinstance(r, Committed)]
    assert len(committed) == 150
    for first, second in zip(done[::2], done[1::2], strict=True):  # each key once
        assert [isinstance(first, Committed), isinstance(second, Committed)].count(True) <= 1
    assert kinds(done).count("Met") == 150
    assert kinds(done).count("Exhausted") == 100
    assert postgres.sql("SELECT value FROM counters") == [(150,)]
    verifier = Verifier.parse(one.verifier_key)
    indexes = []
    for result in committed:
        verified = [receipts.verify(receipt, verifier) for receipt in result.receipts]
        indexes += [v.index for v in verified]
    judged = judge_log(postgres.sql)
    assert sorted(indexes) == list(range(1, judged.size))
    assert await one.checkpoint() == await two.checkpoint()
    while len(seen) < judged.size:
        await asyncio.sleep(0.02)
    follower.cancel()
    assert seen == list(range(judged.size))


@pytest.mark.postgres
async def test_what_one_writer_changed_makes_the_other_stale(postgres, pair):
    one, two = pair
    await one.commit(Write(inserts=[organisation("org_a")]))
    for rev in range(1, 6):
        writes = [entries(one, updates=[rename("org_a", rev, f"N{n}")]) for n in range(8)]
        halves = await asyncio.gather(outcomes(one, writes[:4]), outcomes(two, writes[4:]))
        done = [result for half in halves for result in half]
        assert sorted(kinds(done)) == ["Committed"] + ["Stale"] * 7
        winner = kinds(done).index("Committed")
        rows = postgres.sql("SELECT name_en, rev FROM organisations")
        assert rows == [(f"N{winner}", rev + 1)]
    assert judge_log(postgres.sql).size == 6


@pytest.mark.postgres
def test_two_workers_open_a_new_log_at_once(postgres):
    signer, opened, barrier = Signer.generate("log.example/test"), [], threading.Barrier(4)

    def open_one(db):
        keeper = Keeper(postgres.state / "checkpoints")
        barrier.wait(10)
        opened.append((Ledger(db, keeper, signer), db))

    databases = [postgres.connect() for _ in range(4)]
    threads = [threading.Thread(target=open_one, args=[db]) for db in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    assert len({ledger.log_id for ledger, _ in opened}) == 1
    for ledger, db in opened:
        ledger.close()
        db.close()
    assert judge_log(postgres.sql).count("log.opened.v1") == 1


@pytest.mark.sqlite
async def test_a_second_process_on_sqlite_is_sent_away(sqlite):
    settings = {"EXCHANGE_STATE_DIR": str(sqlite.state), "EXCHANGE_DATABASE_URL": ""}
    async with open_exchange(sqlite):
        done = subprocess.run(
            [sys.executable, "-m", "exchange.cli.main", "init"],
            cwd=ROOT,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2, done
    assert "Another exchange already runs on" in done.stderr
    assert "EXCHANGE_DATABASE_URL" in done.stderr
    async with open_exchange(sqlite):  # the lock ends with its holder
        pass


@pytest.mark.sqlite
async def test_another_state_folder_on_the_same_sqlite_is_sent_away(sqlite, tmp_path):
    other = {"state_dir": tmp_path / "other", "database_url": f"sqlite:///{sqlite.file}"}
    async with open_exchange(sqlite):
        with pytest.raises(StartUpError, match="Another exchange already runs on"):
            open_database(sqlite.settings(**other))
    db, lock = open_database(sqlite.settings(**other))
    db.close()
    lock.close()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"workers": 2}, "SQLite serves one process"),
        ({"database_url": "sqlite://"}, "names no file"),
        ({"database_url": "mysql://a/b"}, "names mysql"),
    ],
)
def test_settings_that_cannot_be_served(sqlite, settings, says):
    with pytest.raises(StartUpError, match=says):
        open_database(sqlite.settings(**settings))


def test_commits_are_durable(database):
    db = database.connect()
    db.assert_durable()
    if db.is_sqlite:
        wanted = {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2, "PRAGMA foreign_keys": 1}
    else:
        wanted = {
            "SHOW synchronous_commit": "on",
            "SHOW fsync": "on",
            "SHOW full_page_writes": "on",
        }
    with db.writing() as connection:
        for statement, value in wanted.items():
            assert connection.execute(text(statement)).scalar_one() == value
    db.close()


@pytest.mark.postgres
def test_a_database_that_says_otherwise_is_overruled(postgres):
    postgres.sql(f"ALTER DATABASE {postgres.name} SET synchronous_commit = off")
    isolation = "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'"
    postgres.sql(isolation.format(postgres.name))
    db = Database(postgres.url)
    db.assert_durable()
    with db.writing() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        # The commit's reads must see what others committed while it waited for the log's lock.
        level = connection.execute(text("SHOW transaction_isolation")).scalar_one()
        assert level == "read committed"
    db.close()


def test_a_database_that_may_lose_a_commit_is_refused(database):
    db = database.connect()
    if db.is_sqlite:
        event.listen(db.writer, "connect", lambda c, _: c.execute("PRAGMA synchronous=NORMAL"))
        db.writer.dispose()
    else:
        event.listen(
            db.writer, "begin", lambda c: c.exec_driver_sql("SET synchronous_commit = local")
        )
    with pytest.raises(StartUpError, match="may lose an acknowledged commit"):
        db.assert_durable()
    db.close()


@pytest.mark.postgres
def test_a_server_without_fsync_is_refused():
    postgres_server()  # or skip
    with infra_module("postgres").Postgres(fsync=False) as server:
        db = Database(server.url())
        with pytest.raises(StartUpError, match="fsync"):
            db.assert_durable()
        db.close()
