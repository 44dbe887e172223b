"""The token keys on disk: made once, private, rotated with overlap."""

import fcntl
import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from joserfc import jwk

from exchange.errors import StartUpError, Unavailable
from exchange.formats.tokens import KeySet, TokenRefused, verify_api_token
from exchange.oauth.keys import (
    LOOK_SECONDS,
    NEVER,
    TokenKeys,
    TokenKeysFull,
    add_token_key,
    drop_token_keys,
    load_token_keys,
    schedule_token_key,
)


def token_of(keys):
    now = int(time.time())
    names = {"iss": "i", "aud": "a", "sub": "c", "client_id": "c", "org_id": "o"}
    return keys.sign({**names, "jti": "j", "scope": "s", "iat": now, "exp": now + 60})


def verify(token, keys):
    return verify_api_token(token, keys, issuer="i", audience="a", now=time.time())


def test_the_key_is_made_once_and_kept_private(tmp_path):
    first = load_token_keys(tmp_path / "keys")
    path = tmp_path / "keys" / "token.jwk"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = load_token_keys(tmp_path / "keys")
    assert again.jwks == first.jwks
    assert verify(token_of(first), again.public).client_id == "c"


def rotated(folder, signs_from=0):
    add_token_key(folder / "token.jwk", signs_from)
    return load_token_keys(folder)


def kids(keys):
    return [key["kid"] for key in keys.jwks["keys"]]


def test_after_a_rotation_the_new_key_signs_and_the_old_one_verifies(tmp_path):
    old = load_token_keys(tmp_path)
    token, before = token_of(old), old.public
    new = rotated(tmp_path)
    assert kids(new)[1:] == [each.kid for each in old._keys]
    assert verify(token, new.public)
    assert verify(token_of(new), load_token_keys(tmp_path).public)
    with pytest.raises(TokenRefused, match="token_key_unknown"):
        verify(token_of(new), before)


def test_a_key_is_published_before_it_signs(tmp_path):
    now = [1_000_000]
    first = kids(load_token_keys(tmp_path))
    rotated(tmp_path, 1_300)
    keys = TokenKeys(json.loads((tmp_path / "token.jwk").read_text())["keys"], None, lambda: now[0])
    assert kids(keys)[1:] == first
    assert keys.signing[1] == first[0]
    now[0] = 1_300_000
    assert keys.signing[1] == kids(keys)[0]


def test_a_running_worker_sees_what_another_changed(tmp_path):
    running = load_token_keys(tmp_path)
    first = kids(running)[0]
    kid = add_token_key(running.path, NEVER)
    running._looked -= LOOK_SECONDS
    assert (kids(running), running.signing[1]) == ([kid, first], first)
    schedule_token_key(running.path, kid, 0)
    running._looked -= LOOK_SECONDS
    assert running.signing[1] == kid
    token = token_of(running)
    drop_token_keys(running.path, [first])
    assert [each for each, _ in running.schedule] == [kid]
    assert verify(token, running.public)


def test_a_file_damaged_while_serving_changes_nothing(tmp_path, caplog):
    running = load_token_keys(tmp_path)
    token = token_of(running)
    running.path.write_bytes(b"{")
    running._looked -= LOOK_SECONDS
    assert verify(token, running.public)
    assert "token_keys_unreadable" in caplog.text


def test_a_set_holds_no_more_keys_than_it_may_and_forgets_none_by_itself(tmp_path):
    load_token_keys(tmp_path)
    for _ in range(7):
        keys = rotated(tmp_path, NEVER)
    before, signing = kids(keys), keys.signing[1]
    with pytest.raises(TokenKeysFull):
        rotated(tmp_path)
    keys = load_token_keys(tmp_path)
    assert (len(before), kids(keys), keys.signing[1]) == (8, before, signing)
    assert signing == before[-1]
    KeySet(keys.jwks)


def test_a_key_that_is_not_due_signs_nothing(tmp_path):
    [first] = kids(load_token_keys(tmp_path))
    rotated(tmp_path, 2_000)
    schedule_token_key(tmp_path / "token.jwk", first, 1_000)
    keys = TokenKeys(
        json.loads((tmp_path / "token.jwk").read_text())["keys"], None, lambda: 999_999
    )
    for sign in (lambda: keys.signing, lambda: token_of(keys)):
        with pytest.raises(Unavailable, match="No key signs"):
            sign()
    assert len(keys.schedule) == 2
    assert keys.signing_id is None


def test_a_key_that_is_gone_is_not_given_a_time(tmp_path):
    path = load_token_keys(tmp_path).path
    before = path.read_bytes()
    with pytest.raises(LookupError):
        schedule_token_key(path, "gone", 0)
    assert path.read_bytes() == before


def test_what_is_published_holds_no_private_part(tmp_path):
    keys = load_token_keys(tmp_path)
    secret = json.loads((tmp_path / "token.jwk").read_text())["keys"][0]["d"]
    assert secret not in json.dumps(keys.jwks)


def test_workers_that_start_together_sign_with_one_key(tmp_path):
    with (tmp_path / "token.lock").open("ab") as lock, ThreadPoolExecutor(4) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the worker does that comes first
        started = [pool.submit(load_token_keys, tmp_path) for _ in range(4)]
        time.sleep(0.2)
        assert not (tmp_path / "token.jwk").exists()
        fcntl.flock(lock, fcntl.LOCK_UN)
        first = {each.result(timeout=30).jwks["keys"][0]["kid"] for each in started}
    assert len(first) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_stops_the_start_and_shows_nothing(tmp_path, content):
    (tmp_path / "token.jwk").write_bytes(content)
    with pytest.raises(StartUpError, match=r"token\.jwk") as caught:
        load_token_keys(tmp_path)
    assert "c2VjcmV0" not in str(caught.value)
    assert (tmp_path / "token.jwk").read_bytes() == content


def test_a_key_of_another_kind_does_not_sign(tmp_path):
    ed25519 = jwk.OKPKey.generate_key("Ed25519").as_dict(private=True)
    (tmp_path / "token.jwk").write_text(json.dumps({"keys": [ed25519]}))
    with pytest.raises(StartUpError, match="ES256"):
        load_token_keys(tmp_path)
