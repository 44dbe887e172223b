"""When something fails: nothing is written twice, nothing is shown that was not kept."""

import asyncio
import contextlib
import errno
import os
import threading
import time
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from exchange.errors import Unavailable
from exchange.formats import receipt as receipts
from exchange.formats.note import Signer, Verifier
from exchange.ledger import writer as writers
from exchange.ledger.keep import Keeper
from exchange.ledger.write import Committed, Met, Spend, Stale, Write
from exchange.participants.store import ORGANISATIONS
from tests.support.infra import postgres_server
from tests.support.judge import judge_log, signed
from tests.support.ledgers import (
    entries,
    kinds,
    once,
    one_batch,
    open_ledger,
    organisation,
    outcomes,
    plain,
    rename,
    some_event,
)
from tests.support.lossy import LossyWire


@pytest.fixture
def faults(ledger, monkeypatch):
    """Faults of the writer's next transactions: "before" or "after" its COMMIT, or None."""
    plan = []
    real = ledger.db.writing

    @contextlib.contextmanager
    def writing():
        fault = plan.pop(0) if plan else None
        with real() as connection:
            yield connection
            if fault == "before":
                raise OperationalError("INSERT", {}, Exception("server closed the connection"))
        if fault == "after":
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(ledger.db, "writing", writing)
    return plan


@pytest.fixture
async def wire(postgres):
    """A ledger behind a wire that can lose answers."""
    wire = LossyWire(postgres_server().port)
    postgres.port = wire.port
    with open_ledger(postgres) as ledger:
        yield wire, ledger
    wire.close()


def assert_verifies(ledger, result, event):
    verified = receipts.verify(result.receipts[0], Verifier.parse(ledger.verifier_key))
    assert (verified.entry, verified.index) == (event.entry, result.first_index)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_connection_writes_once(database, ledger, faults, when):
    happened = some_event(ledger)
    faults.append(when)
    spend = [Spend("s", 1, 9)]
    done = await ledger.commit(Write([happened], spends=spend, once=[once("k", {"n": 1})]))
    assert done.first_index == 1
    assert_verifies(ledger, done, happened)
    assert judge_log(database.sql).size == 2
    assert database.sql("SELECT value FROM counters") == [(1,)]
    assert await ledger.commit(Write(once=[once("k")])) == Met("k", {"n": 1})


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_batch_is_answered_as_if_nothing_had_happened(database, ledger, faults, when):
    await ledger.commit(
        Write(inserts=[organisation("org_a")], once=[once("old", {"n": 1})], spends=[])
    )
    writes = [entries(ledger, 2, inserts=[organisation(f"org_{n}")]) for n in range(20)]
    writes[3] = entries(ledger, once=[once("old")])
    writes[7] = entries(ledger, reads={(ORGANISATIONS, "org_a"): 5})
    writes[9] = entries(ledger, spends=[Spend("s", 2, 1)])
    writes[11] = Write(inserts=[organisation("org_11")], spends=[Spend("n", 1, 1)])
    faults += [None, when]
    done = await one_batch(database, ledger, writes)
    expected = ["Committed"] * 20
    expected[3], expected[7], expected[9] = "Met", "Stale", "Exhausted"
    assert kinds(done) == expected
    for n in set(range(20)) - {3, 7, 9, 11}:
        assert_verifies(ledger, done[n], writes[n].events[0])
    assert judge_log(database.sql).size == 1 + 2 * 16
    assert len(database.sql("SELECT id FROM organisations")) == 18
    assert database.sql("SELECT key, value FROM counters") == [("n", 1)]
    assert not faults


async def test_an_update_whose_answer_was_lost_is_stale_and_not_done_twice(
    database, ledger, faults
):
    await ledger.commit(Write(inserts=[organisation("org_a")]))
    faults.append("after")
    with pytest.raises(Stale):
        await ledger.commit(Write(updates=[rename("org_a", 1)]))
    assert database.sql("SELECT name_en, rev FROM organisations") == [("B", 2)]


async def test_a_key_that_may_have_been_met_by_oneself_is_not_called_met(ledger, faults):
    """A client assertion whose token was lost on the way is no replay."""
    faults += ["after", None]
    with pytest.raises(Unavailable, match="cannot confirm"):
        await ledger.commit(Write(once=[once("k")]))
    assert await ledger.commit(Write(once=[once("k")])) == Met("k", None)
    faults += ["before", None]
    assert isinstance(await ledger.commit(Write(once=[once("other")])), Committed)


async def test_an_outcome_that_stays_unknown_is_not_called_undone(database, ledger, faults):
    faults += ["after", "before"]  # the second is where it looks what became of the first
    with pytest.raises(Unavailable, match="cannot confirm"):
        await ledger.commit(entries(ledger, once=[once("k", {"n": 1})]))
    assert ledger.healthy
    assert await ledger.commit(entries(ledger, once=[once("k")])) == Met("k", {"n": 1})
    assert judge_log(database.sql).size == 2


async def test_a_write_that_fails_again_is_given_up(database, ledger, faults):
    faults += ["before", None, "before", None]
    with pytest.raises(Unavailable, match="not done"):
        await ledger.commit(entries(ledger))
    assert isinstance(await ledger.commit(entries(ledger)), Committed)
    assert judge_log(database.sql).size == 2


async def test_a_fault_of_our_own_leaves_the_threads_alive(ledger, monkeypatch):
    """Not an error of the database's: a bug. Whoever waits is answered all the same."""
    for name in ("commit", "committed_before", "cannot_tell"):
        monkeypatch.setattr(writers, name, lambda *_: 1 / 0)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(ledger.commit(entries(ledger)), 5)
    monkeypatch.undo()
    assert ledger.healthy
    assert isinstance(await ledger.commit(entries(ledger)), Committed)


@pytest.mark.postgres
async def test_the_answer_to_commit_is_lost_on_the_wire(postgres, wire):
    wire, ledger = wire
    writes = [entries(ledger, 1 + n % 2, once=[once(f"k{n}")]) for n in range(40)]
    wire.lose(2)
    done = await one_batch(postgres, ledger, writes)
    assert kinds(done) == ["Committed"] * 40
    assert wire.lost == 1
    for write, result in zip(writes, done, strict=True):
        assert_verifies(ledger, result, write.events[0])
    assert judge_log(postgres.sql).size == 61


@pytest.mark.postgres
async def test_a_row_whose_answer_was_lost_is_known_again(postgres, wire):
    wire, ledger = wire
    wire.lose()
    done = await ledger.commit(
        Write(inserts=[organisation("org_a")], once=[once("k")], spends=[Spend("s", 1, 1)])
    )
    assert isinstance(done, Committed)
    assert wire.lost == 1
    assert postgres.sql("SELECT value FROM counters") == [(1,)]


@pytest.mark.postgres
async def test_connections_ended_by_the_server(postgres):
    with open_ledger(postgres) as ledger:
        await ledger.commit(entries(ledger))
        assert postgres.disconnect() >= 1  # idle
        assert (await ledger.commit(entries(ledger))).first_index == 2

        ended = []

        @event.listens_for(ledger.db.writer, "commit")
        def _(connection):
            if not ended:  # everything is done but the COMMIT itself
                ended.append(postgres.disconnect())

        assert (await ledger.commit(entries(ledger))).first_index == 3
        assert ended

        with psycopg.connect(plain(postgres.url)) as holder:
            holder.execute("SELECT * FROM log_state FOR UPDATE")
            task = asyncio.create_task(ledger.commit(entries(ledger)))
            waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not (found := postgres.sql(waiting)):
                await asyncio.sleep(0.01)
            postgres.sql("SELECT pg_terminate_backend(?)", found[0][0])
            await asyncio.sleep(0.05)
            holder.rollback()
        assert (await task).first_index == 4
        assert await ledger.size() == 5
    assert judge_log(postgres.sql).size == 5


async def test_nothing_is_shown_before_it_is_kept(database, ledger):
    keeper, gate = ledger._keeper, threading.Event()
    keep = keeper.keep

    def slow(note, size):
        gate.wait(5)
        keep(note, size)

    keeper.keep = slow
    happened = some_event(ledger)
    waiting = [asyncio.create_task(ledger.commit(Write([happened])))]
    while database.sql("SELECT size FROM log_state") != [(2,)]:
        await asyncio.sleep(0.01)
    waiting.append(asyncio.create_task(ledger.checkpoint()))
    waiting.append(asyncio.create_task(ledger.receipt(happened.id)))
    await asyncio.sleep(0.2)
    assert not any(task.done() for task in waiting)
    gate.set()
    _, note, (_, receipt) = await asyncio.gather(*waiting)
    verifier = Verifier.parse(ledger.verifier_key)
    assert note == receipt.checkpoint_note == keeper.path.read_text()
    assert signed(note, verifier)[1] == 2


@pytest.mark.parametrize("how", ["folder gone", "disk full"])
async def test_a_checkpoint_that_cannot_be_kept_releases_nothing(database, how, monkeypatch):
    signer = Signer.generate("log.example/test")
    kept = database.state / "checkpoints"
    with open_ledger(database, signer=signer) as ledger:
        first = await ledger.commit(entries(ledger))
        held = kept / "worker-0.checkpoint"
        before = held.read_text()
        aside = kept.rename(kept.with_name("aside")) if how == "folder gone" else None
        if how == "disk full":
            real = os.fsync

            def full(descriptor):
                if "checkpoint" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                    raise OSError(errno.ENOSPC, "No space left on device")
                real(descriptor)

            monkeypatch.setattr(os, "fsync", full)
        lost = [some_event(ledger, n=n) for n in range(30)]
        done = await outcomes(ledger, [Write([each]) for each in lost])
        assert {type(result) for result in done} == {Unavailable}
        assert not ledger.healthy
        for ask in (ledger.checkpoint(), ledger.receipt(lost[0].id), ledger.commit(Write())):
            with pytest.raises(Unavailable):
                await ask
        monkeypatch.undo()
        if aside:
            aside.rename(kept)
        with pytest.raises(Unavailable):  # until somebody has looked and started it again
            await ledger.commit(entries(ledger))
        assert held.read_text() == before
    with open_ledger(database, signer=signer) as ledger:  # what was committed stands
        done = await ledger.commit(entries(ledger))
        judged = judge_log(database.sql)
        assert judged.size == done.first_index + 1
        shown = signed(first.receipts[0].checkpoint_note, signer.verifier)
        assert judged.roots[shown[1]] == shown[2]
        assert len({event["id"] for event in judged.events}) == judged.size


async def test_a_slot_never_goes_back(tmp_path):
    keeper = Keeper(tmp_path)
    keeper.keep("newer\n", 9)
    keeper.keep("older\n", 8)
    assert keeper.path.read_text() == "newer\n"
    keeper.close()


async def test_closing_finishes_what_waits_and_takes_no_more(database):
    with open_ledger(database) as ledger:
        tasks = [asyncio.create_task(ledger.commit(entries(ledger))) for _ in range(50)]
        await asyncio.sleep(0.01)  # handed in
        await asyncio.to_thread(ledger.close)
        assert kinds(await asyncio.gather(*tasks)) == ["Committed"] * 50
        with pytest.raises(Unavailable):
            await ledger.commit(entries(ledger))
    assert judge_log(database.sql).size == 51


async def test_closing_is_quick(sqlite):
    signer, took = Signer.generate("log.example/test"), []
    for _ in range(10):
        with open_ledger(sqlite, signer=signer) as ledger:
            await ledger.commit(entries(ledger))
            start = time.perf_counter()
            ledger.close()
            took.append(time.perf_counter() - start)
    assert max(took) < 0.8, took


async def test_too_many_waiting_are_sent_away(database, ledger, monkeypatch):
    monkeypatch.setattr(writers, "MAX_WAITING", 3)
    with database.log_held():
        tasks = []
        for _ in range(20):
            tasks.append(asyncio.create_task(ledger.commit(entries(ledger))))
            await asyncio.sleep(0.02)
    done = kinds(await asyncio.gather(*tasks, return_exceptions=True))
    assert done == ["Committed"] * 5 + ["Unavailable"] * 15  # one being written, four waiting
    assert await ledger.size() == 6
