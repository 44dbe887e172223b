"""Whoever waits for a row to change is told, and nobody else."""

from exchange.watchers import Watchers


def test_a_watcher_is_told_of_its_rows_and_of_no_others():
    watchers = Watchers()
    with watchers.watch(["a", "b"]) as first, watchers.watch(["b"]) as second:
        watchers.drop(["c"])
        assert not first.is_set()
        watchers.drop(["a"])
        assert first.is_set()
        assert not second.is_set()
        first.clear()
        watchers.drop(["b", "a"])
        assert first.is_set()
        assert second.is_set()


def test_nothing_is_kept_of_whoever_went():
    watchers = Watchers()
    with watchers.watch(["a", "a"]), watchers.watch(["a"]):
        pass
    assert watchers._by_id == {}
