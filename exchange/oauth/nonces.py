"""The key of DPoP nonces: `<keys_dir>/nonce.key`, 32 random bytes, mode 0600, for all workers."""

import fcntl
import secrets
from pathlib import Path

from exchange.errors import StartUpError
from exchange.formats.shown import Nonces
from exchange.ledger.keep import make_private_dir, write_durably

FILE = "nonce.key"
SIZE = 32


def load_nonces(keys_dir: Path) -> Nonces:
    """Read the key, or make it; raises StartUpError."""
    path = make_private_dir(keys_dir, "keys") / FILE
    with path.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write_durably(path, secrets.token_bytes(SIZE))
        key = path.read_bytes()
    if len(key) != SIZE:
        raise StartUpError(
            f"The key of nonces in {path} is not {SIZE} bytes. Delete it to make a new one: "
            "clients are told a new nonce then, and nothing else is lost."
        )
    return Nonces(key)
