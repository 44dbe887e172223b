"""The vault: what it seals opens in one place only, and its file says clearly what is wrong."""

import fcntl
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from exchange.connections import vault as vaults
from exchange.connections.model import origin
from exchange.connections.vault import MAX_KEYS, Place, Unreadable, Vault, open_vault
from exchange.errors import Conflict, StartUpError, Unavailable

PLACE = Place("con_1", "org_1", "https://a.example:443")
SECRET = {"header": "X-Api-Key", "value": "planted-0123456789"}


@pytest.fixture
def vault(tmp_path):
    return open_vault(tmp_path, ())


def keys_of(folder):
    return json.loads((folder / "master.json").read_text())["keys"]


def rotated(vault):
    return vault.add_after(vault.ids[0])


def test_what_is_sealed_opens_where_it_belongs(vault):
    sealed = vault.seal(vault.ids[0], PLACE, SECRET)
    assert vault.open(sealed, vault.ids[0], PLACE) == SECRET
    assert "planted" not in sealed
    assert sealed != vault.seal(vault.ids[0], PLACE, SECRET)


@pytest.mark.parametrize(
    "other",
    [
        Place("con_2", "org_1", "https://a.example:443"),
        Place("con_1", "org_2", "https://a.example:443"),
        Place("con_1", "org_1", "https://b.example:443"),
    ],
)
def test_what_is_sealed_opens_nowhere_else(vault, other):
    sealed = vault.seal(vault.ids[0], PLACE, SECRET)
    with pytest.raises(Unreadable, match="for another connection"):
        vault.open(sealed, vault.ids[0], other)


def test_damaged_or_foreign_it_opens_nowhere(vault, tmp_path):
    sealed = vault.seal(vault.ids[0], PLACE, SECRET)
    flipped = sealed[:60] + ("A" if sealed[60] != "A" else "B") + sealed[61:]
    for text in (flipped, sealed[:-8], "", "x", "\u6e2f", sealed + sealed):
        with pytest.raises(Unreadable):
            vault.open(text, vault.ids[0], PLACE)
    foreign = open_vault(tmp_path / "other", ())
    with pytest.raises(Unreadable, match="another key"):
        foreign.open(sealed, vault.ids[0], PLACE)


def test_the_file_is_private_and_made_once(tmp_path):
    with (tmp_path / "master.lock").open("ab") as lock, ThreadPoolExecutor(4) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starting = [pool.submit(open_vault, tmp_path, ()) for _ in range(4)]
        fcntl.flock(lock, fcntl.LOCK_UN)
        ids = {tuple(each.result().ids) for each in starting}
    assert len(ids) == 1
    assert stat.S_IMODE((tmp_path / "master.json").stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".master*"))


def test_no_text_shows_a_key_or_a_secret(vault, tmp_path):
    [key] = keys_of(tmp_path)
    for thing in (vault, vault._file, vault._file.keys[0], vault._all):
        assert key not in repr(thing)
        assert key not in str(thing)
    assert key not in "".join(vault.ids) + "".join(vault.digests(SECRET))


def test_running_workers_notice_a_new_key(vault, tmp_path):
    other = Vault(tmp_path / "master.json")
    before = vault.ids[0]
    after = rotated(vault)
    assert after != before
    assert vault.ids == [after, before]
    sealed = vault.seal(after, PLACE, SECRET)
    assert other.open(sealed, after, PLACE) == SECRET  # at once: it looks where a key is unknown
    old = vault.seal(before, PLACE, SECRET)
    assert other.open(old, before, PLACE) == SECRET
    vault.drop([before])
    assert vault.ids == [after]
    with pytest.raises(Unreadable):
        vault.open(old, before, PLACE)
    with pytest.raises(Unavailable):
        vault.seal(before, PLACE, SECRET)


def test_it_looks_at_the_file_once_a_second_at_most(vault, tmp_path, monkeypatch):
    """A key that is known needs no look: one stat a second, however many calls."""
    looks, now = [], [100.0]
    monkeypatch.setattr(vaults.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(vaults, "_stamp", lambda path: looks.append(path) or vault._stamp)
    sealed = vault.seal(vault.ids[0], PLACE, SECRET)
    looks.clear()
    key_id = vault._file.ids[0]
    for _ in range(50):
        vault.open(sealed, key_id, PLACE)
    assert len(looks) == 0
    now[0] += 1.1
    for _ in range(50):
        vault.open(sealed, key_id, PLACE)
    assert len(looks) == 1


def test_a_rotation_that_was_cut_short_is_taken_up(vault):
    """The file had its new key, the database never heard of it."""
    current = vault.ids[0]
    waiting = vault.add_after(current)
    assert vault.add_after(current) == waiting
    assert vault.older_than(waiting) == [current]
    assert vault.older_than(current) == []  # what stands in front is never dropped


def test_there_is_an_end_to_keys(vault):
    for _ in range(MAX_KEYS - 1):
        rotated(vault)
    with pytest.raises(Conflict):
        rotated(vault)


def test_equal_secrets_have_equal_digests_to_who_has_the_keys(vault, tmp_path):
    assert vault.digests(SECRET) == vault.digests(dict(SECRET))
    assert vault.digests(SECRET) != vault.digests({**SECRET, "value": "other"})
    assert vault.digests(None) != vault.digests({})
    before = vault.digests(SECRET)
    rotated(vault)
    assert vault.digests(SECRET)[1:] == before
    assert open_vault(tmp_path / "other", ()).digests(SECRET) != before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"keys"', '"kyes"'),
        lambda text: "[]",
        lambda text: '{"keys": []}',
        lambda text: '{"keys": 5}',
        lambda text: '{"keys": ["short"]}',
        lambda text: json.dumps({"keys": json.loads(text)["keys"] * 2}),
        lambda text: json.dumps({"keys": [json.loads(text)["keys"][0][:-6]]}),
        lambda text: json.dumps({"keys": json.loads(text)["keys"], "abandoned": 5}),
    ],
)
def test_a_damaged_file_is_named_and_not_shown(tmp_path, damage):
    key_id = open_vault(tmp_path, ()).ids[0]
    path = tmp_path / "master.json"
    [key] = keys_of(tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StartUpError) as refused:
        open_vault(tmp_path, [key_id])
    assert str(path) in str(refused.value)
    assert key[:12] not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_a_damaged_file_does_not_stop_who_has_read_it(vault, tmp_path, caplog):
    sealed = vault.seal(vault.ids[0], PLACE, SECRET)
    path, key_id = tmp_path / "master.json", vault.ids[0]
    whole = path.read_text()
    path.write_text(whole[:20])
    assert vault.ids == [key_id]
    assert vault.open(sealed, key_id, PLACE) == SECRET
    assert "master_keys_unreadable" in caplog.text
    path.unlink()
    assert vault.ids == [key_id]
    path.write_text(whole)
    assert vault.ids == [key_id]


def test_a_missing_file_is_missed_where_something_is_sealed_by_it(tmp_path):
    key_id = open_vault(tmp_path, ()).ids[0]
    path = tmp_path / "master.json"
    path.unlink()
    with pytest.raises(StartUpError, match="is missing") as refused:
        open_vault(tmp_path, [key_id])
    assert str(path) in str(refused.value)
    assert key_id in str(refused.value)
    assert not path.exists()


def test_a_wrong_file_is_refused_and_there_is_a_way_out(tmp_path):
    lost = open_vault(tmp_path / "lost", ()).ids[0]
    other = open_vault(tmp_path, ())
    with pytest.raises(StartUpError, match="has not every master key"):
        open_vault(tmp_path, [lost])
    path = tmp_path / "master.json"
    path.write_text(json.dumps({"keys": keys_of(tmp_path), "abandoned": [lost]}))
    assert open_vault(tmp_path, [lost]).ids == other.ids
    path.write_text(json.dumps({"keys": [], "abandoned": [lost]}))
    fresh = open_vault(tmp_path, [lost])
    assert len(fresh.ids) == 1
    assert open_vault(tmp_path, [lost]).ids == fresh.ids
    rotated(fresh)
    assert json.loads(path.read_text())["abandoned"] == [lost]


def test_a_new_file_is_whole_or_not_there(vault, tmp_path, monkeypatch):
    """A rotation that fails on the disk leaves the old file."""
    before = (tmp_path / "master.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        rotated(vault)
    assert (tmp_path / "master.json").read_bytes() == before


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/", "https://a.example:443"),
        ("https://a.example:443/x", "https://a.example:443"),
        ("http://a.example:80", "http://a.example:80"),
        ("https://[2001:db8::1]:9000/", "https://2001:db8::1:9000"),
        ("https://a.example:x/", ""),
    ],
)
def test_origins(url, expected):
    assert origin(url) == expected
