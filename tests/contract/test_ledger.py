"""The ledger's promise to those who write: all or nothing, once, never stale, never too much."""

import asyncio
import contextlib

import pytest

from exchange.clock import now_ms
from exchange.errors import BadInput
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.ledger import writer as writers
from exchange.ledger.commit import ONCE, commit, forget_expired
from exchange.ledger.write import (
    Committed,
    Exhausted,
    Met,
    Spend,
    Stale,
    Write,
)
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.policy.activate import STATE
from tests.support.judge import judge_log
from tests.support.ledgers import (
    entries,
    kinds,
    once,
    organisation,
    outcomes,
    rename,
    some_event,
)


async def test_an_entry_gets_the_next_index_and_a_receipt(database, ledger):
    verifier = Verifier.parse(ledger.verifier_key)
    for expected in (1, 2, 3):
        event = some_event(ledger, n=expected)
        done = await ledger.commit(Write([event]))
        assert done.first_index == expected  # 0 is log.opened
        verified = receipts.verify(receipts.parse(done.receipts[0].encode()), verifier)
        assert verified.index == expected
        assert verified.entry == event.entry
        assert verified.checkpoint.size == expected + 1
    assert await ledger.size() == judge_log(database.sql).size == 4


async def test_entries_stand_in_the_order_they_came(database, ledger):
    done = await outcomes(ledger, [entries(ledger, count % 4) for count in range(300)])
    at = 1
    for count, result in enumerate(done):
        assert len(result.receipts) == count % 4
        assert [r.index for r in result.receipts] == list(range(at, at + count % 4))
        at += count % 4
    judged = judge_log(database.sql)
    assert judged.size == at
    assert [e["data"]["n"] for e in judged.events[1:7]] == [0, 0, 1, 0, 1, 2]


async def test_each_receipt_of_a_batch_verifies(ledger):
    verifier = Verifier.parse(ledger.verifier_key)
    for result in await outcomes(ledger, [entries(ledger, 3) for _ in range(100)]):
        for receipt in result.receipts:
            assert receipts.verify(receipt, verifier).index == receipt.index


async def test_later_receipts_stand_on_the_newest_checkpoint(ledger):
    event = some_event(ledger)
    await ledger.commit(Write([event]))
    await ledger.commit(entries(ledger, 5))
    leaf, receipt = await ledger.receipt(event.id)
    verified = receipts.verify(receipt, Verifier.parse(ledger.verifier_key))
    assert (leaf.index, verified.checkpoint.size) == (1, 7)
    assert receipt.checkpoint_note == await ledger.checkpoint()
    assert await ledger.receipt("evt_none") is None


async def test_a_once_key_answers_with_its_first_outcome(database, ledger):
    first = await ledger.commit(entries(ledger, once=[once("k", {"id": "first"})]))
    again = await ledger.commit(entries(ledger, once=[once("k", {"id": "second"})]))
    assert isinstance(first, Committed)
    assert again == Met("k", {"id": "first"})
    assert await ledger.commit(Write(once=[once("other"), once("k")])) == again
    assert isinstance(await ledger.commit(Write(once=[once("other")])), Committed)
    assert await ledger.size() == 2


async def test_of_many_at_once_with_one_key_one_is_done(database, ledger):
    writes = [entries(ledger, once=[once("k", {"id": n})]) for n in range(64)]
    done = await outcomes(ledger, writes)
    assert sorted(kinds(done)) == ["Committed"] + ["Met"] * 63
    winner = kinds(done).index("Committed")
    assert {r.outcome["id"] for r in done if isinstance(r, Met)} == {winner}
    assert judge_log(database.sql).size == 2


async def test_a_key_that_stands_in_the_way_answers_and_is_not_set(database, ledger):
    await ledger.commit(Write(once=[once("k", {"n": 1})]))
    assert await ledger.commit(entries(ledger, unless=["j", "k"])) == Met("k", {"n": 1})
    free = entries(ledger, unless=["j"])
    assert isinstance(await ledger.commit(free), Committed)
    assert database.sql("SELECT key FROM once_keys") == [("k",)]
    assert await ledger.size() == 2


async def test_a_once_key_expires(ledger, monkeypatch):
    clock = now_ms()
    monkeypatch.setattr(writers, "now_ms", lambda: clock)
    assert isinstance(
        await ledger.commit(Write(once=[once("k", {"n": 1}, expires_ms=clock + 1000)])), Committed
    )
    clock += 999
    assert await ledger.commit(Write(once=[once("k", {"n": 2})])) == Met("k", {"n": 1})
    clock += 1
    second = Write(once=[once("k", {"n": 2}, expires_ms=clock + 1000)])
    assert isinstance(await ledger.commit(second), Committed)
    assert await ledger.commit(Write(once=[once("k")])) == Met("k", {"n": 2})


async def test_expired_once_keys_are_purged_and_no_others(database, ledger, monkeypatch):
    clock = now_ms()
    monkeypatch.setattr(writers, "now_ms", lambda: clock)
    monkeypatch.setattr(writers, "PURGE_EVERY", 2)
    keys = [once(f"k{n}", expires_ms=clock + 1000 * n) for n in range(1, 6)]
    await ledger.commit(Write(once=keys))
    clock += 3000
    for _ in range(2):
        await ledger.commit(entries(ledger))
    assert database.sql("SELECT key FROM once_keys ORDER BY key") == [("k4",), ("k5",)]
    with ledger.db.writing() as connection:
        assert forget_expired(connection, clock + 9999, limit=1) == 1
    assert database.sql("SELECT key FROM once_keys") == [("k5",)]


async def test_a_key_that_is_forgotten_may_be_met_anew(ledger):
    await ledger.commit(Write(once=[once("k", {"n": 1})]))
    await ledger.commit(entries(ledger, forgets=["k", "never met"]))
    assert isinstance(await ledger.commit(Write(once=[once("k", {"n": 2})])), Committed)
    assert await ledger.commit(Write(once=[once("k")])) == Met("k", {"n": 2})


@pytest.mark.parametrize("first_forgets", [True, False])
async def test_forgetting_and_meeting_in_one_batch(ledger, first_forgets):
    await ledger.commit(Write(once=[once("k", {"n": 1})]))
    forget, meet = Write(forgets=["k"]), Write(once=[once("k", {"n": 2})])
    with ledger.db.writing() as connection:
        order = [forget, meet] if first_forgets else [meet, forget]
        batch = commit(connection, ledger.log, order, now_ms())
    found = await ledger.db.read(lambda c: c.execute(ONCE.select()).all())
    if first_forgets:
        assert kinds(batch.results) == ["Committed", "Committed"]
        assert [row.outcome for row in found] == [{"n": 2}]
    else:
        assert kinds(batch.results) == ["Met", "Committed"]
        assert not found


async def test_a_write_is_stale_unless_every_row_is_as_it_was_read(database, ledger):
    await ledger.commit(Write(inserts=[organisation("org_a"), organisation("org_b", rev=7)]))
    a, b = (ORGANISATIONS, "org_a"), (ORGANISATIONS, "org_b")
    assert isinstance(await ledger.commit(entries(ledger, reads={a: 1, b: 7})), Committed)
    for reads, stale in (
        ({a: 2, b: 7}, ["org_a"]),
        ({a: 0, b: 6}, ["org_a", "org_b"]),
        ({a: 1, (ORGANISATIONS, "org_c"): 1}, ["org_c"]),
        ({a: 1, (CLIENTS, "org_a"): 1}, ["org_a"]),
        ({(STATE, "active"): 1}, ["active"]),
    ):
        with pytest.raises(Stale) as refused:
            await ledger.commit(entries(ledger, reads=reads, once=[once("k")]))
        assert [row for _, row in refused.value.rows] == stale
    assert judge_log(database.sql).size == 2
    assert isinstance(await ledger.commit(Write(once=[once("k")])), Committed)


async def test_an_update_needs_its_rev_and_raises_it(database, ledger):
    await ledger.commit(Write(inserts=[organisation("org_a")]))
    await ledger.commit(entries(ledger, updates=[rename("org_a", 1)]))
    assert database.sql("SELECT name_en, rev FROM organisations") == [("B", 2)]
    for rev in (1, 3):
        with pytest.raises(Stale):
            await ledger.commit(entries(ledger, updates=[rename("org_a", rev, "C")]))
    with pytest.raises(Stale):
        await ledger.commit(entries(ledger, reads={(ORGANISATIONS, "org_a"): 1}))
    assert database.sql("SELECT name_en, rev FROM organisations") == [("B", 2)]
    assert await ledger.size() == 2


async def test_of_many_updates_of_one_rev_one_is_done(database, ledger):
    await ledger.commit(Write(inserts=[organisation("org_a")]))
    writes = [entries(ledger, updates=[rename("org_a", 1, f"N{n}")]) for n in range(40)]
    done = await outcomes(ledger, writes)
    assert sorted(kinds(done)) == ["Committed"] + ["Stale"] * 39
    winner = kinds(done).index("Committed")
    assert database.sql("SELECT name_en, rev FROM organisations") == [(f"N{winner}", 2)]
    assert await ledger.size() == 2


async def test_an_earlier_write_of_a_batch_makes_a_later_one_stale(ledger):
    await ledger.commit(Write(inserts=[organisation("org_a")]))
    a, new = (ORGANISATIONS, "org_a"), (ORGANISATIONS, "org_new")
    batch = [
        entries(ledger, reads={a: 1}),
        entries(ledger, updates=[rename("org_a", 1)]),
        entries(ledger, reads={a: 1}),
        entries(ledger, reads={new: 1}),
        entries(ledger, inserts=[organisation("org_new")]),
        entries(ledger, reads={a: 2, new: 1}),
    ]
    with ledger.db.writing() as connection:
        done = commit(connection, ledger.log, batch, now_ms())
    expected = ["Committed", "Committed", "Stale", "Stale", "Committed", "Committed"]
    assert kinds(done.results) == expected
    assert [r.first_index for r in done.results if isinstance(r, Committed)] == [1, 2, 3, 4]


async def test_a_ceiling_is_never_passed(database, ledger):
    def spend(amount, ceiling=10):
        return entries(ledger, spends=[Spend("uses", amount, ceiling)])

    await ledger.commit(spend(7))
    with pytest.raises(Exhausted) as refused:
        await ledger.commit(spend(4))
    assert (refused.value.value, refused.value.ceiling) == (7, 10)
    await ledger.commit(spend(3))
    await ledger.commit(spend(1, ceiling=11))
    assert database.sql("SELECT key, value FROM counters") == [("uses", 11)]
    two = [Spend("pair", 2, 3), Spend("pair", 2, 3)]
    with pytest.raises(Exhausted):
        await ledger.commit(entries(ledger, spends=two))
    assert await ledger.size() == 4


async def test_spends_are_exact_under_load(database, ledger):
    amounts = [1 + n % 3 for n in range(120)]
    writes = [
        entries(ledger, spends=[Spend("a", n, 50), Spend(f"own{i}", 1, 1)])
        for i, n in enumerate(amounts)
    ]
    done = await outcomes(ledger, writes)
    assert {*kinds(done)} == {"Committed", "Exhausted"}
    spent = sum(n for n, r in zip(amounts, done, strict=True) if isinstance(r, Committed))
    counters = dict(database.sql("SELECT key, value FROM counters"))
    assert counters.pop("a") == spent == 50
    assert counters == {f"own{i}": 1 for i, r in enumerate(done) if isinstance(r, Committed)}
    assert judge_log(database.sql).size == 1 + len(counters)


async def test_an_entry_that_no_bundle_could_hold_is_refused(ledger):
    largest = some_event(ledger, text="")
    room = 65535 - len(largest.entry)
    await ledger.commit(Write([some_event(ledger, text="x" * room)]))
    with pytest.raises(BadInput):
        some_event(ledger, text="x" * (room + 1))


async def test_listeners_hear_of_changes_and_of_what_was_stale(ledger):
    heard = []
    ledger.listeners.append(heard.extend)
    await ledger.commit(Write(inserts=[organisation("org_a")]))
    await ledger.commit(Write([some_event(ledger, "org_a")], updates=[rename("org_a", 1)]))
    assert set(heard) == {"org_a"}
    heard.clear()
    with pytest.raises(Stale):
        await ledger.commit(Write(reads={(ORGANISATIONS, "org_a"): 1}))
    assert heard == ["org_a"]


async def test_whoever_goes_away_takes_nothing_back(database, ledger):
    task = asyncio.create_task(ledger.commit(entries(ledger)))
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await ledger.commit(entries(ledger))
    assert judge_log(database.sql).size == 3


async def test_followers_see_every_entry_in_order(ledger):
    seen = []

    async def follow():
        async for leaves in ledger.follow(2, limit=7):
            seen.extend(leaf.index for leaf in leaves)
            if seen[-1] >= 120:
                return

    follower = asyncio.create_task(follow())
    for _ in range(12):
        await outcomes(ledger, [entries(ledger) for _ in range(10)])
        await asyncio.sleep(0.01)
    await asyncio.wait_for(follower, 5)
    assert seen == list(range(2, 121))
