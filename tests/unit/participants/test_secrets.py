"""Secrets of clients: what is kept of one, and what fits it."""

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import StartUpError
from exchange.participants.model import Client
from exchange.participants.secrets import (
    FILE,
    PREFIX,
    SecretKey,
    load_secret_key,
    make_secret,
    secret_fits,
)

KEY = SecretKey(b"k" * 32)
MADE = make_secret(KEY)
CLIENT = Client(
    id="cli_0",
    org_id="org_0",
    name="n",
    jwks={"keys": []},
    status="active",
    rev=1,
    created_ms=0,
    auth_method="client_secret_basic",
    secret_hash=MADE.hash,
)


def test_a_secret_fits_its_client_and_its_key_only():
    assert secret_fits(CLIENT, MADE.text, KEY)
    assert not secret_fits(CLIENT, MADE.text, SecretKey(b"x" * 32))
    assert not secret_fits(CLIENT, make_secret(KEY).text, KEY)
    assert not secret_fits(replace(CLIENT, secret_hash=make_secret(KEY).hash), MADE.text, KEY)
    for none in (None, replace(CLIENT, secret_hash=None)):
        for guess in (MADE.text, "", "0" * 64):
            assert not secret_fits(none, guess, KEY)


@given(st.text(alphabet=st.characters(), max_size=60))
def test_nothing_else_fits(guess):
    """Nor does what is kept; lone surrogates are no error."""
    assert secret_fits(CLIENT, guess, KEY) == (guess == MADE.text)
    assert not secret_fits(CLIENT, MADE.hash, KEY)


def test_a_secret_has_a_prefix_and_256_bits():
    assert MADE.text.startswith(PREFIX)
    assert len(MADE.text) == len(PREFIX) + 43
    assert len({make_secret(KEY).text for _ in range(50)}) == 50


def test_nothing_of_it_is_shown(caplog):
    logging.getLogger("t").warning("%r %r %r", CLIENT, MADE, KEY)
    for told in (MADE.text, MADE.hash, "kkk"):
        assert told not in caplog.text


def test_the_key_is_made_once_and_kept_from_others(tmp_path):
    first = load_secret_key(tmp_path / "keys")
    assert load_secret_key(tmp_path / "keys") == first
    path = tmp_path / "keys" / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"short")
    with pytest.raises(StartUpError) as refused:
        load_secret_key(tmp_path / "keys")
    assert "restore it" in str(refused.value)
    path.unlink()
    assert load_secret_key(tmp_path / "keys") != first
