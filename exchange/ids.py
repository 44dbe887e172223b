"""Opaque, prefixed, sortable ids: `off_` + 10 characters of time + 16 of chance (base 32).

Ids of a log's rows embed the log's short code (`grt_<code>_…`), so that a URL finds its log.
"""

import re
import secrets

from exchange.chance import random_bytes
from exchange.clock import now_ms

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_PATTERN = re.compile(r"[a-z]{3}_(?:[0-9a-z]{4}_)?[0-9a-hjkmnp-tv-z]{26}")


def _body() -> str:
    """Return 26 characters: 50 bits of milliseconds, then 80 random bits, in pairs of 10 bits."""
    number = (now_ms() << 80) | int.from_bytes(random_bytes(10), "big")
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def new_id(prefix: str, log_id: str | None = None) -> str:
    """Return a new id; `log_id` is the log's short code for rows that belong to a log."""
    return f"{prefix}_{log_id}_{_body()}" if log_id else f"{prefix}_{_body()}"


def new_log_code() -> str:
    """Return a new log's short code, 4 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(4))


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the form of an id of this prefix."""
    return text.startswith(prefix + "_") and _PATTERN.fullmatch(text) is not None
