"""The keys that sign access tokens: ES256, `<keys_dir>/token.jwk`, a JWK Set of mode 0600.

The first key signs. The others are still published, so tokens signed before a rotation verify.
"""

import fcntl
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from exchange.errors import StartUpError
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

FILE = "token.jwk"


class TokenKeys:
    """The newest key signs; `jwks` publishes all; `public` verifies with all."""

    def __init__(self, private_jwks: list[dict[str, Any]]) -> None:
        """Take private JWKs, newest first; raises FormatError."""
        key, algorithm, kid = load_private_key(private_jwks[0])
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise FormatError("access tokens are signed with ES256")
        self._key = key
        self._header = {"alg": algorithm, "kid": kid, "typ": ACCESS_TOKEN_TYPE}
        self.jwks = parse_public_jwks(
            {"keys": [public_jwks(each)["keys"][0] for each in private_jwks]}
        )
        self.public = KeySet(self.jwks)

    @property
    def signing(self) -> tuple[ec.EllipticCurvePrivateKey, str]:
        """The newest key and its id, for what else the exchange signs as itself: deliveries."""
        return self._key, self._header["kid"]

    def sign(self, claims: dict[str, Any]) -> str:
        """Return an access token that makes these claims."""
        return sign_jws(self._key, self._header, claims)

    def sign_manifest(self, claims: dict[str, Any]) -> str:
        """Return the manifest of an export, which is never taken for a token."""
        return sign_jws(self._key, {**self._header, "typ": MANIFEST_TYPE}, claims)


def load_token_keys(keys_dir: Path) -> TokenKeys:
    """Read the keys, or make the first one; raises StartUpError."""
    return _open(keys_dir, rotate=False)


def rotate_token_keys(keys_dir: Path) -> TokenKeys:
    """Put a new key in front, and forget the oldest beyond 8; running servers read it at start."""
    return _open(keys_dir, rotate=True)


def _open(keys_dir: Path, *, rotate: bool) -> TokenKeys:
    path = make_private_dir(keys_dir, "keys") / FILE
    # Several workers may start at once; a key that only one of them knew would sign in vain.
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        exists = path.exists()
        private_jwks = _read(path) if exists else []
        if rotate or not exists:
            private_jwks = [generate_client_key(), *private_jwks][:MAX_KEYS]
            write_durably(path, json.dumps({"keys": private_jwks}, indent=1).encode())
    try:
        return TokenKeys(private_jwks)
    except FormatError as error:
        raise StartUpError(f"The token keys in {path} cannot be used: {error}") from error


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
