"""The keys that sign access tokens: ES256, `<keys_dir>/token.jwk`, a JWK Set of mode 0600.

A key signs from its time on (`signs_from`, seconds since 1970; absent: at once), and never before;
of several the newest does. No key is forgotten to make room for another. All are published, so
tokens signed before a rotation verify, and whoever keeps a copy of the set knows a new key before
it signs. Running workers look at the file once a second.
"""

import fcntl
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from exchange.clock import now_ms
from exchange.errors import StartUpError, Unavailable
from exchange.formats.errors import FormatError
from exchange.formats.jwk import (
    MAX_KEYS,
    generate_client_key,
    load_private_key,
    parse_public_jwks,
    public_jwks,
)
from exchange.formats.jws import sign_jws
from exchange.formats.manifest import MANIFEST_TYPE
from exchange.formats.tokens import ACCESS_TOKEN_TYPE, KeySet
from exchange.ledger.keep import make_private_dir, write_durably

log_to = logging.getLogger("exchange.keys")
FILE = "token.jwk"
SIGNS_FROM = "signs_from"
ADDED = "added"  # seconds since 1970
NEVER = 2**40
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Key:
    private: ec.EllipticCurvePrivateKey
    kid: str
    signs_from: int
    added: int


class TokenKeysFull(Exception):
    """As many keys are published as a set may hold."""


class TokenKeys:
    """The keys as the file has them now: the newest that may signs; `public` verifies with all."""

    def __init__(
        self,
        private_jwks: list[dict[str, Any]],
        path: Path | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        """Take private JWKs, newest first, and follow their file; raises FormatError."""
        self.path, self._clock = path, clock
        self._one_at_a_time = threading.Lock()
        self._stamp, self._looked = _stamp(path), time.monotonic()
        self._take(private_jwks)

    def _take(self, private_jwks: list[dict[str, Any]]) -> None:
        keys = []
        for each in private_jwks:
            key, _algorithm, kid = load_private_key(each)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise FormatError("access tokens are signed with ES256")
            signs_from, added = each.get(SIGNS_FROM, 0), each.get(ADDED, 0)
            if type(signs_from) is not int or type(added) is not int:
                raise FormatError(f"{SIGNS_FROM} or {ADDED} is no time in seconds")
            keys.append(_Key(key, kid, signs_from, added))
        jwks = parse_public_jwks({"keys": [public_jwks(each)["keys"][0] for each in private_jwks]})
        self._keys, self._jwks, self._public = keys, jwks, KeySet(jwks)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set, the newest first."""
        self._look()
        return self._jwks

    @property
    def public(self) -> KeySet:
        """The public keys, to verify with."""
        self._look()
        return self._public

    @property
    def signing(self) -> tuple[ec.EllipticCurvePrivateKey, str]:
        """The key that signs and its id, also what else the exchange signs as itself.

        Raises Unavailable where none is due, as after a clock was set back.
        """
        key = self._signing()
        if key is None:
            raise Unavailable("keys_unavailable", "No key signs yet: look at the server's clock.")
        return key.private, key.kid

    @property
    def signing_id(self) -> str | None:
        """The id of the key that signs; None where none is due."""
        key = self._signing()
        return key.kid if key is not None else None

    def _signing(self) -> _Key | None:
        self._look()
        now = self._clock() / 1000
        return next((each for each in self._keys if each.signs_from <= now), None)

    @property
    def schedule(self) -> list[tuple[str, int]]:
        """The ids of the keys, the newest first, and from when each signs, in seconds."""
        self._look(always=True)
        return [(key.kid, key.signs_from) for key in self._keys]

    def left_behind(self, seconds: int) -> list[str]:
        """Return the ids of keys that were added so long ago, and never given their time."""
        self._look(always=True)
        before = self._clock() // 1000 - seconds
        return [key.kid for key in self._keys if key.signs_from >= NEVER and key.added <= before]

    def sign(self, claims: dict[str, Any]) -> str:
        """Return an access token that makes these claims."""
        return self._sign(ACCESS_TOKEN_TYPE, claims)

    def sign_status(self, kind: str, claims: dict[str, Any]) -> str:
        """Return a status list, or an event about one: of a `typ` that is no token's."""
        return self._sign(kind, claims)

    def sign_manifest(self, claims: dict[str, Any]) -> str:
        """Return the manifest of an export, which is never taken for a token."""
        return self._sign(MANIFEST_TYPE, claims)

    def _sign(self, typ: str, claims: dict[str, Any]) -> str:
        key, kid = self.signing
        return sign_jws(key, {"alg": "ES256", "kid": kid, "typ": typ}, claims)

    def _look(self, *, always: bool = False) -> None:
        """Read the file again if it changed; look at most once a second unless `always`."""
        now = time.monotonic()
        if self.path is None or (not always and now - self._looked < LOOK_SECONDS):
            return
        with self._one_at_a_time:
            self._looked = now
            stamp = _stamp(self.path)
            if stamp == self._stamp:
                return
            try:
                self._take(_read(self.path))
                self._stamp = stamp
            except (StartUpError, FormatError):  # go on with what was read before
                log_to.error("token_keys_unreadable")


def load_token_keys(keys_dir: Path) -> TokenKeys:
    """Read the keys, or make the first one; raises StartUpError."""
    path = make_private_dir(keys_dir, "keys") / FILE
    # Several workers may start at once; a key that only one of them knew would sign in vain.
    with _locked(path):
        if not path.exists():
            _write(path, [generate_client_key()])
        private_jwks = _read(path)
    try:
        return TokenKeys(private_jwks, path)
    except FormatError as error:
        raise StartUpError(f"The token keys in {path} cannot be used: {error}") from error


def add_token_key(path: Path, signs_from: int) -> str:
    """Put a new key in front; return its id.

    Waits for the file's lock and the disk, as `schedule_token_key` and `drop_token_keys` do. Raises
    TokenKeysFull, StartUpError, OSError.
    """
    with _locked(path):
        fresh, kept = generate_client_key(), _read(path)
        if len(kept) >= MAX_KEYS:
            raise TokenKeysFull
        times = {SIGNS_FROM: signs_from, ADDED: now_ms() // 1000}
        _write(path, [{**fresh, **times}, *kept])
    return str(fresh["kid"])


def schedule_token_key(path: Path, kid: str, signs_from: int) -> None:
    """Say from when a key signs, in seconds; raises LookupError where it is gone."""
    with _locked(path):
        keys = _read(path)
        at = next((i for i, each in enumerate(keys) if each.get("kid") == kid), None)
        if at is None:
            raise LookupError("there is no such token key")
        keys[at] = {**keys[at], SIGNS_FROM: signs_from}
        _write(path, keys)


def drop_token_keys(path: Path, kids: list[str]) -> None:
    """Forget keys for good: what they signed is refused from now on."""
    with _locked(path):
        _write(path, [each for each in _read(path) if each.get("kid") not in kids])


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, private_jwks: list[dict[str, Any]]) -> None:
    write_durably(path, json.dumps({"keys": private_jwks}, indent=1).encode())


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino, found.st_size) if found is not None else None


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        keys = json.loads(path.read_bytes())["keys"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StartUpError(
            f"The token keys in {path} cannot be read. Restore the file, or delete it to make a "
            "new key: tokens signed before are then refused, and clients ask for new ones."
        ) from error
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        raise StartUpError(f"The token keys in {path} are not a JWK Set with at least one key.")
    return keys
