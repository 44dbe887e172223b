"""Secrets of clients that can do no better (RFC 6749 section 2.3.1), made here and shown once.

`<keys_dir>/client-secrets.key`, 32 bytes of mode 0600, is the key of the HMAC that is kept of each.
Who has a copy of the database alone can neither guess a secret nor verify a guess.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from exchange.ledger.keep import load_key, make_private_dir
from exchange.participants.model import Client

FILE = "client-secrets.key"
PREFIX = "dsx_"  # so that scanners of source code know one when they see it
KEY_BYTES = 32
NOBODYS = "0" * 64
DAMAGED = (
    "It is the key of clients' secrets: restore it, or delete it to make another. Every secret of "
    "before is then refused, and an owner or the operator replaces it."
)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The key by which the hashes of secrets are made."""

    _key: bytes = field(repr=False)

    def hash(self, secret: str) -> str:
        """Return HMAC-SHA-256 of a secret, hex."""
        told = b"exchange client secret " + secret.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that was just made: `text` is shown once, `hash` is what is kept."""

    text: str = field(repr=False)
    hash: str = field(repr=False)


def make_secret(key: SecretKey) -> NewSecret:
    """Make a secret of 256 random bits."""
    text = PREFIX + secrets.token_urlsafe(32)
    return NewSecret(text, key.hash(text))


def secret_fits(client: Client | None, secret: str, key: SecretKey) -> bool:
    """Whether this is the client's secret; takes as long for a client that has none, or is none."""
    kept = client.secret_hash if client is not None else None
    fits = hmac.compare_digest(kept or NOBODYS, key.hash(secret))
    return fits and kept is not None


def load_secret_key(keys_dir: Path) -> SecretKey:
    """Read the key, or make it; raises StartUpError. Without its key no secret of before fits."""
    path = make_private_dir(keys_dir, "keys") / FILE
    return SecretKey(load_key(path, KEY_BYTES, DAMAGED))
