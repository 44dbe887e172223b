"""Which bytes a request wants: Range (RFC 9110 section 14), one range a request."""

import re
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 19
_HUGE: Final = 10**_LONGEST
_BYTES = re.compile(r"bytes=(.*)", re.IGNORECASE | re.ASCII | re.DOTALL)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` to `last` inclusive; `last` is -1 where there are none."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1


class NotSatisfiable(ValueError):
    """The range lies outside the object (RFC 9110 section 15.5.17)."""


def whole(size: int) -> Span:
    """All bytes of an object."""
    return Span(0, size - 1)


def parse_range(header: str | None, size: int) -> Span | None:
    """Return the one range that a Range header asks for; None means the whole object.

    Another unit, a malformed header and several ranges ask for the whole (section 14.2 lets a
    server ignore them). Raises NotSatisfiable.
    """
    matched = _BYTES.fullmatch(header) if header is not None else None
    spec = _SPEC.fullmatch(matched[1]) if matched else None
    if spec is None or spec[0] == "-":
        return None
    if not spec[1]:
        return _suffix(_number(spec[2]), size)
    first = _number(spec[1])
    last = _number(spec[2]) if spec[2] else _HUGE
    if last < first:
        return None
    if first >= size:
        raise NotSatisfiable
    return Span(first, min(last, size - 1))


def _suffix(length: int, size: int) -> Span | None:
    if length == 0:
        raise NotSatisfiable
    # A suffix of nothing is satisfiable, and Content-Range cannot write it.
    return Span(max(size - length, 0), size - 1) if size else None


def _number(digits: str) -> int:
    """Read digits of any count; beyond 19 all are alike, and int() would be slow or refuse."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _LONGEST else _HUGE
