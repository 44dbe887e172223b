"""Rows that come with entries: in bulk, parents first, exact, and a bad one fails alone."""

import re

import pytest

from exchange.errors import Unavailable
from exchange.ledger.follow import FOLLOWERS
from exchange.ledger.ledger import ENTRIES
from exchange.ledger.write import Committed, Insert, LeafIndex, Spend, Update, Write
from exchange.participants.store import ORGANISATIONS
from tests.support.judge import judge_log
from tests.support.ledgers import client, entries, kinds, once, one_batch, organisation


async def test_a_bad_row_fails_alone(database, ledger):
    unfit = {
        3: client("cli_3", "org_that_is_not"),
        8: organisation("org_1"),  # its id is taken by another write of the batch
        11: organisation("org_11", attributes=object()),
        12: organisation("org_12", name_en=None),
        13: Insert(ORGANISATIONS, {"id": "org_13"}),
        14: organisation("org_14", rev="many"),
    }
    if database.kind == "postgres":
        unfit[15] = organisation("org_15", name_en="\x00")
    else:
        del unfit[14]  # SQLite is easy with types
    writes = [
        entries(
            ledger,
            2,
            inserts=[unfit.get(n, organisation(f"org_{n}"))],
            once=[once(f"k{n}")],
            spends=[Spend("sum", 1, 99)],
        )
        for n in range(16)
    ]
    done = await one_batch(database, ledger, writes)
    assert {n for n, r in enumerate(done) if isinstance(r, Unavailable)} == set(unfit)
    good = len(writes) - len(unfit)
    assert kinds(done).count("Committed") == good
    assert database.sql("SELECT value FROM counters") == [(good,)]
    assert len(database.sql("SELECT key FROM once_keys")) == good
    assert len(database.sql("SELECT id FROM organisations")) == good
    assert judge_log(database.sql).size == 1 + 2 * good
    assert ledger.healthy


async def test_parents_come_before_children_and_rows_learn_their_index(database, ledger):
    write = entries(
        ledger,
        2,
        inserts=[
            client("cli_a", "org_a"),
            organisation("org_a", created_ms=LeafIndex(1)),
            organisation("org_b", created_ms=LeafIndex()),
        ],
    )
    await ledger.commit(entries(ledger, 4))
    await ledger.commit(write)
    rows = database.sql("SELECT id, created_ms FROM organisations ORDER BY id")
    assert rows == [("org_a", 6), ("org_b", 5)]


TEXTS = ["", "\\N", "\\.", "a\tb\nc\r\\d", "'\";--", "上海港\U0001f6a2e\u0301", "NULL", "\x7f"]


@pytest.mark.parametrize("many", [False, True])
async def test_values_of_every_kind_survive(ledger, many):
    """Bulk inserts go by COPY on PostgreSQL, which has escapes of its own."""
    large = {"value": 2**53 - 1, "nested": [None, True, {"a": TEXTS}]}
    rows = [
        organisation(f"org_{n}", name_en=value, name_zh=value * 2, created_ms=2**53 - 1 - n)
        for n, value in enumerate(TEXTS)
    ]
    rows.append(organisation("org_x", attributes=large, roles=TEXTS))
    for part in [rows] if many else [[row] for row in rows]:
        await ledger.commit(Write(inserts=part))
    found = await ledger.db.read(lambda c: c.execute(ORGANISATIONS.select()).all())
    held = {row.id: row._asdict() for row in found}
    assert held == {row.values["id"]: dict(row.values) for row in rows}


async def test_a_write_without_entries_leaves_no_leaf(database, ledger):
    before = await ledger.checkpoint()
    done = await ledger.commit(Write(inserts=[organisation("org_a")]))
    assert done == Committed(1, ())
    assert await ledger.commit(Write(reads={(ORGANISATIONS, "org_a"): 1})) == done
    assert await ledger.checkpoint() == before
    assert judge_log(database.sql).size == 1


async def test_readers_cannot_write(ledger):
    for statement in (ENTRIES.delete(), ORGANISATIONS.delete()):
        with pytest.raises(Exception) as refused:
            await ledger.db.read(lambda c, s=statement: c.execute(s))
        assert re.search("(?i)read-?only", f"{refused.value} {refused.value.__cause__}")
    assert await ledger.size() == 1


async def test_another_logs_row_of_the_same_name_is_left_alone(database, ledger):
    """Followers have one name in every log."""
    row = {"log_id": ledger.log_id, "id": "f", "next_index": 1, "rev": 1}
    await ledger.commit(Write(inserts=[Insert(FOLLOWERS, row)]))
    database.sql("INSERT INTO followers (log_id, id, next_index, rev) VALUES ('zzzz', 'f', 7, 1)")
    await ledger.commit(Write(updates=[Update(FOLLOWERS, "f", 1, {"next_index": 2})]))
    rows = database.sql("SELECT log_id, next_index, rev FROM followers WHERE id = 'f'")
    assert sorted(rows) == sorted([(ledger.log_id, 2, 2), ("zzzz", 7, 1)])
