"""Checkpoints outside the database: durable, one file a worker, never half written."""

import os

import pytest

from exchange.errors import StartUpError
from exchange.ledger import keep
from exchange.ledger.keep import Keeper, kept_notes, lock_file, make_private_dir, write_durably


def test_the_file_is_synced_before_it_takes_its_place_and_the_folder_after(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, type(tmp_path).replace

    def spy_fsync(descriptor):
        done.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115
        fsync(descriptor)

    def spy_replace(source, target):
        done.append(("replace", str(target)))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(type(tmp_path), "replace", spy_replace)
    path = tmp_path / "a.checkpoint"
    path.write_bytes(b"old")
    write_durably(path, b"new")
    assert [what for what, _ in done] == ["fsync", "replace", "fsync"]
    assert done[0][1] != str(path)
    assert done[1:] == [("replace", str(path)), ("fsync", str(tmp_path))]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_write_that_is_cut_off_leaves_the_old_one(tmp_path, monkeypatch):
    keeper = Keeper(tmp_path)
    keeper.keep("first\n", 1)
    monkeypatch.setattr(os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        keeper.keep("second\n", 2)
    assert kept_notes(tmp_path) == ["first\n"]  # the torn file is not taken for a checkpoint
    monkeypatch.undo()
    keeper.keep("second\n", 2)  # what was not kept does not count as kept
    assert kept_notes(tmp_path) == ["second\n"]
    keeper.close()


def test_torn_files_of_killed_holders_are_swept_away(tmp_path):
    torn = [tmp_path / f".worker-{slot}.checkpoint.4711" for slot in (0, 1)]
    for path in torn:
        path.write_text("half a no")
    keeper = Keeper(tmp_path)
    assert [path.exists() for path in torn] == [False, True]  # the other slot is another's
    keeper.close()


def test_each_worker_has_a_slot_until_it_ends(tmp_path):
    one, two = Keeper(tmp_path), Keeper(tmp_path)
    one.keep("one\n", 1)
    two.keep("two\n", 1)
    assert sorted(kept_notes(tmp_path)) == ["one\n", "two\n"]
    one.close()
    again = Keeper(tmp_path)
    assert again.path == one.path != two.path
    assert kept_notes(tmp_path) == ["one\n", "two\n"]  # what was shown is remembered
    for keeper in (two, again):
        keeper.close()


def test_slots_run_out_with_a_message(tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "SLOTS", 2)
    keepers = [Keeper(tmp_path), Keeper(tmp_path)]
    with pytest.raises(StartUpError, match="2 workers already"):
        Keeper(tmp_path)
    for keeper in keepers:
        keeper.close()


def test_a_lock_is_one_holders(tmp_path):
    held = lock_file(tmp_path / "lock")
    assert held is not None
    assert lock_file(tmp_path / "lock") is None
    held.close()
    again = lock_file(tmp_path / "lock")
    assert again is not None
    again.close()


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartUpError, match="EXCHANGE_STATE_DIR"):
        make_private_dir(tmp_path / "file" / "below", "checkpoints")
    assert make_private_dir(tmp_path / "new", "keys").stat().st_mode & 0o777 == 0o700
