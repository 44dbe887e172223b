"""Which writes of a batch go through: pure, and compared with carrying them out one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table

from exchange.ledger.admit import Seen, admit, names
from exchange.ledger.write import Exhausted, Insert, Met, Once, Spend, Stale, Update, Write

META = MetaData()
A = Table("a", META, Column("id", String, primary_key=True), Column("rev", Integer))
B = Table("b", META, Column("id", String, primary_key=True), Column("rev", Integer))
FREE = Table("free", META, Column("id", String, primary_key=True))
FAR = 2**53 - 1


def seen(**more):
    return Seen(revs={(A, "1"): 4, (B, "1"): 1}, counters={"c": 3}, once={"k": {"n": 1}}, **more)


def test_a_write_that_names_nothing_goes_through():
    assert admit(Write(), Seen()) is None


def test_met_is_answered_before_anything_else():
    """A repeated request answers alike, however much has changed since."""
    write = Write(
        reads={(A, "1"): 1}, spends=[Spend("c", 9, 1)], once=[Once("new", FAR), Once("k", FAR)]
    )
    state = seen()
    assert admit(write, state) == Met("k", {"n": 1})
    assert "new" not in state.once


def test_a_key_that_stands_in_the_way_answers_and_is_not_set():
    write = Write(once=[Once("x", FAR)], unless=["k"])
    assert admit(write, seen()) == Met("k", {"n": 1})
    state = seen()
    assert admit(Write(once=[Once("x", FAR)], unless=["y"]), state) is None
    assert set(state.once) == {"k", "x"}
    assert admit(Write(unless=["x"], reads={(A, "1"): 99}), state) == Met("x", None)


def test_stale_names_every_row_that_changed_or_is_gone():
    write = Write(
        reads={(A, "1"): 3, (A, "2"): 1, (B, "1"): 1},
        updates=[Update(B, "9", 1, {})],
    )
    refused = admit(write, seen())
    assert isinstance(refused, Stale)
    assert sorted(refused.rows) == [("a", "1"), ("a", "2"), ("b", "9")]


@pytest.mark.parametrize("rev", [0, 3, 5])
def test_any_other_rev_is_stale(rev):
    assert isinstance(admit(Write(reads={(A, "1"): rev}), seen()), Stale)
    assert isinstance(admit(Write(updates=[Update(A, "1", rev, {})]), seen()), Stale)


def test_exhausted_says_where_the_counter_stands():
    refused = admit(Write(spends=[Spend("c", 1, 4), Spend("c", 1, 4)]), seen())
    assert isinstance(refused, Exhausted)
    assert (refused.key, refused.value, refused.ceiling) == ("c", 4, 4)
    assert admit(Write(spends=[Spend("c", 1, 4)]), seen()) is None
    assert isinstance(admit(Write(spends=[Spend("new", 2, 1)]), seen()), Exhausted)


def test_a_refused_write_leaves_no_trace():
    for write in (
        Write(reads={(A, "1"): 1}, once=[Once("x", FAR)], updates=[Update(B, "1", 1, {})]),
        Write(spends=[Spend("y", 1, 1), Spend("c", 9, 4)], once=[Once("x", FAR)], forgets=["k"]),
        Write(once=[Once("x", FAR), Once("k", FAR)], inserts=[Insert(A, {"id": "7", "rev": 1})]),
    ):
        state = seen()
        assert admit(write, state) is not None
        assert state == seen()


def test_an_admitted_write_is_met_by_the_next():
    state = seen()
    write = Write(
        updates=[Update(A, "1", 4, {})],
        inserts=[Insert(B, {"id": "2", "rev": 5}), Insert(FREE, {"id": "f"})],
        spends=[Spend("c", 2, 5)],
        once=[Once("x", FAR, {"n": 2})],
        forgets=["k"],
    )
    assert admit(write, state) is None
    assert state.revs == {(A, "1"): 5, (B, "1"): 1, (B, "2"): 5}
    assert state.counters == {"c": 5}
    assert state.once == {"x": {"n": 2}}


def test_what_a_batch_names():
    batch = [
        Write(reads={(A, "1"): 1}, once=[Once("k", FAR)], unless=["u"], forgets=["f"]),
        Write(updates=[Update(B, "2", 1, {})], spends=[Spend("c", 1, 2)]),
    ]
    assert names(batch) == ({(A, "1")}, {(B, "2")}, {"c"}, {"k", "u"})


ROW = st.tuples(st.sampled_from([A, B]), st.sampled_from(["1", "2"]))
WRITES = st.lists(
    st.builds(
        lambda reads, updates, spends, once, unless, forgets: Write(
            reads=reads,
            updates=[Update(t, i, rev, {}) for (t, i), rev in updates.items()],
            spends=[Spend(k, n, 6) for k, n in spends],
            once=[Once(k, FAR, {"by": k}) for k in once],
            unless=unless,
            forgets=forgets,
        ),
        st.dictionaries(ROW, st.integers(1, 3), max_size=2),
        st.dictionaries(ROW, st.integers(1, 3), max_size=2),
        st.lists(st.tuples(st.sampled_from("cd"), st.integers(1, 4)), max_size=3),
        st.lists(st.sampled_from("kl"), max_size=2, unique=True),
        st.lists(st.sampled_from("kl"), max_size=1),
        st.lists(st.sampled_from("kl"), max_size=1),
    ),
    max_size=12,
)


@given(WRITES)
def test_a_batch_is_as_its_writes_one_by_one(batch):
    """Against a model that keeps the whole database and knows of no batch."""
    revs = {(A, "1"): 1, (A, "2"): 2, (B, "1"): 1}
    counters, once = {"c": 1, "d": 0}, {"k": {"by": "before"}}
    state = Seen(dict(revs), dict(counters), dict(once))
    for write in batch:
        got = admit(write, state)
        wanted = {**write.reads, **{(u.table, u.id): u.rev for u in write.updates}}
        totals = dict(counters)
        passed = False
        for spend in write.spends:
            totals[spend.key] += spend.amount
            passed |= totals[spend.key] > spend.ceiling
        if any(key in once for key in [*(o.key for o in write.once), *write.unless]):
            assert isinstance(got, Met)
        elif any(revs.get(row) != rev for row, rev in wanted.items()):
            assert isinstance(got, Stale)
        elif passed:
            assert isinstance(got, Exhausted)
        else:
            assert got is None
            counters = totals
            for update in write.updates:
                revs[(update.table, update.id)] += 1
            for key in write.forgets:
                once.pop(key, None)
            once.update({o.key: o.outcome for o in write.once})
        assert (state.revs, state.counters, state.once) == (revs, counters, once)
