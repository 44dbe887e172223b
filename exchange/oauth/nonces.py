"""The key of DPoP nonces: `<keys_dir>/nonce.key`, 32 random bytes, mode 0600, for all workers."""

from pathlib import Path

from exchange.formats.shown import Nonces
from exchange.ledger.keep import load_key, make_private_dir

FILE = "nonce.key"
SIZE = 32
DAMAGED = (
    "Delete it to make a new one: clients are told a new nonce then, and nothing else is lost."
)


def load_nonces(keys_dir: Path) -> Nonces:
    """Read the key, or make it; raises StartUpError."""
    path = make_private_dir(keys_dir, "keys") / FILE
    return Nonces(load_key(path, SIZE, DAMAGED))
