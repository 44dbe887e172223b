"""Profiles: for their owner's eyes, read strictly, and a key is never overwritten."""

import json
import os
from dataclasses import replace

import pytest

from exchange.client import profile
from exchange.client.profile import ProfileProblem, create_profile, read_profile, update_profile

URL = "https://exchange.example"
GOOD = profile.new_profile(URL)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine" / "me.json"


def test_what_is_written_is_read(path):
    create_profile(path, GOOD)
    assert read_profile(path) == GOOD
    assert GOOD.url == URL
    assert GOOD.key["d"]
    assert GOOD.key != profile.new_profile(URL).key


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_its_owner_may_read_it(path, umask):
    before = os.umask(umask)
    try:
        create_profile(path, GOOD)
        assert path.stat().st_mode & 0o777 == 0o600
        update_profile(path, replace(GOOD, client_id="cli_1"))
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_key_is_never_overwritten(path, tmp_path):
    create_profile(path, GOOD)
    other = profile.new_profile(URL)
    with pytest.raises(ProfileProblem, match="exists already; a key is never overwritten"):
        create_profile(path, other)
    with pytest.raises(ProfileProblem, match="holds another key; a key is never overwritten"):
        update_profile(path, other)
    assert read_profile(path) == GOOD
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ProfileProblem, match="exists already"):
        create_profile(tmp_path / "link", GOOD)


def test_an_update_is_whole_or_not_at_all(path, monkeypatch):
    create_profile(path, GOOD)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        update_profile(path, replace(GOOD, client_id="cli_1"))
    assert read_profile(path) == GOOD
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_what_became_known_is_written_down(path):
    create_profile(path, GOOD)
    known = replace(GOOD, client_id="cli_1", organisation_id="org_1", log_key="log+1+k")
    update_profile(path, known)
    assert read_profile(path) == known


def test_a_profile_that_is_missing_says_how_to_make_one(path):
    with pytest.raises(ProfileProblem) as raised:
        read_profile(path)
    assert str(raised.value) == (
        f"There is no profile {path}. `exchange profile new {path}` makes one; --profile or "
        "EXCHANGE_PROFILE names another."
    )


DOCUMENT = {"url": URL, "client_id": "c", "organisation_id": "o", "key": GOOD.key}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"text"',
        json.dumps({k: v for k, v in DOCUMENT.items() if k != "key"}).encode(),
        json.dumps(DOCUMENT | {"url": 7}).encode(),
        json.dumps(DOCUMENT | {"url": "exchange.example"}).encode(),
        json.dumps(DOCUMENT | {"url": "file:///etc/passwd"}).encode(),
        json.dumps(DOCUMENT | {"client_id": None}).encode(),
        json.dumps(DOCUMENT | {"key": "text"}).encode(),
        json.dumps(DOCUMENT | {"log_key": ["x"]}).encode(),
    ],
)
def test_a_broken_profile_is_refused_in_words(tmp_path, text):
    path = tmp_path / "me.json"
    path.write_bytes(text)
    with pytest.raises(ProfileProblem, match="is no profile") as raised:
        read_profile(path)
    assert str(path) in str(raised.value)
    assert "Restore it from a copy" in str(raised.value)
    assert GOOD.key["d"] not in str(raised.value)


def test_a_folder_is_no_profile(tmp_path):
    with pytest.raises(ProfileProblem, match="Is a directory"):
        read_profile(tmp_path)


def test_the_public_key_has_no_private_part():
    [public] = profile.jwks_of(GOOD)["keys"]
    assert "d" not in public
    assert public["x"] == GOOD.key["x"]
    with pytest.raises(ProfileProblem, match="key cannot be used"):
        profile.jwks_of(replace(GOOD, key={"kty": "oct", "k": "AAAA"}))
