"""What a client proves itself with, by names that nobody can choose, as they can a kid.

A token says which credential got it, so that it ends with that credential, and not minutes later.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from exchange.formats.jwk import encode_base64url, thumbprint
from exchange.participants.model import Client

_KEYS = 4096


def key_name(jwk: Mapping[str, Any]) -> str:
    """Return the thumbprint (RFC 7638) of a registered key."""
    return _thumbprint(tuple(jwk.items()))


def secret_name(secret_hash: str) -> str:
    """Return the name of a secret, of which a hash is stored: a hash of that."""
    return encode_base64url(hashlib.sha256(b"client secret\0" + secret_hash.encode()).digest())


def credential_names(client: Client) -> frozenset[str]:
    """Return the names of all that the client may prove itself with."""
    names = {key_name(each) for each in client.jwks["keys"]}
    if client.secret_hash is not None:
        names.add(secret_name(client.secret_hash))
    return frozenset(names)


@lru_cache(maxsize=_KEYS)
def _thumbprint(members: tuple[tuple[str, Any], ...]) -> str:
    return thumbprint(dict(members))
