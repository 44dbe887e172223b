"""Canonical JSON, RFC 8785 (JCS): one value, one sequence of bytes."""

import json
from typing import Any

import rfc8785

from exchange.formats.errors import CanonicalError

MAX_DEPTH = 64
"""Arrays and objects inside each other, the outermost counted."""

_LARGEST = 2**53 - 1
_write_plain = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode


def encode(value: object) -> bytes:
    """The canonical bytes of a value made of dict, list, tuple, str, int, float, bool and None.

    Integers beyond ±(2^53-1) are written as strings, as RFC 8785 (appendix D) advises; floats that
    would look like such integers are refused, so that every integer in the bytes is exact.
    Raises CanonicalError: also for NaN, infinities, lone surrogates, keys that are no strings,
    other types, more than MAX_DEPTH levels.
    """
    try:
        if _is_plain(value, MAX_DEPTH):
            return _write_plain(value).encode()
        return rfc8785.dumps(_prepared(value, MAX_DEPTH))
    except CanonicalError:
        raise
    except ValueError as error:
        raise CanonicalError(str(error)) from None


def decode(data: bytes, *, max_bytes: int = 65535) -> Any:
    """The value of canonical bytes; raises CanonicalError for anything that `encode` never writes.

    Comparing with what `encode` would have written refuses white space, unsorted or repeated keys,
    NaN, lone surrogates, other spellings of a number and too many levels in one stroke.
    """
    if len(data) > max_bytes:
        raise CanonicalError(f"{len(data)} bytes, more than the {max_bytes} allowed")
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise CanonicalError("not JSON in UTF-8") from None
    if encode(value) != data:
        raise CanonicalError("not canonical JSON (RFC 8785)")
    return value


def _is_plain(value: object, depth: int) -> bool:
    """Whether the standard library writes the value exactly as RFC 8785 wants it.

    So it is for exact types, integers in bounds, no floats, and ASCII keys: their order by code
    point is their order by UTF-16 unit. Strings escape alike. The pure Python package takes four
    times as long, and this runs once an entry.
    """
    kind = type(value)
    if kind is dict:
        for key in value:  # type: ignore[attr-defined]
            if type(key) is not str or not key.isascii():
                return False
        members = value.values()  # type: ignore[attr-defined]
    elif kind is list or kind is tuple:
        members = value
    else:
        return kind is str or _is_plain_scalar(value)
    if not depth:
        return False
    for member in members:
        # Most members are strings: testing them here saves a call for each.
        if type(member) is not str and not (
            _is_plain_scalar(member) or _is_plain(member, depth - 1)
        ):
            return False
    return True


def _is_plain_scalar(value: object) -> bool:
    if type(value) is int:
        return -_LARGEST <= value <= _LARGEST
    return value is None or value is True or value is False


def _prepared(value: object, depth: int) -> Any:
    """The same value with its too large integers as strings, for the package that refuses them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and _LARGEST < abs(value) < 1e21:
        raise CanonicalError("a float that would be written as an integer beyond 2^53-1")
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else int.__str__(value)
    if not isinstance(value, (dict, list, tuple)):
        return value
    if not depth:
        raise CanonicalError(f"more than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _prepared(member, depth - 1) for key, member in value.items()}
    return [_prepared(member, depth - 1) for member in value]
