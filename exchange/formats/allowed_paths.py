"""Which calls an offering allows: rules such as `GET /stats/*`, over paths of one spelling only.

    rule    = METHOD " " pattern
    pattern = a path, in which `*` stands for one whole segment, or as the last character for
              any rest, an empty one too

`GET /a/*/b` allows /a/x/b and not /a/x/y/b; `GET /a/*` allows /a/, /a/x and /a/x/y, but not /a;
`GET /a*` allows these and /ab. What is compared is what `normalise` returns, and that very path
must be forwarded: whatever a service could read as another path is refused, not repaired.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from exchange.formats.errors import FormatError

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LONGEST_PATH = 4096
LONGEST_RULE = 400
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
# RFC 3986's characters of a path, escapes among them.
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_UNRESERVED = re.compile("[A-Za-z0-9_~-]")
# What divides a path or a URL, or is dropped from it, by one program or another: never escaped,
# nor written with characters that compatibility forms turn into these.
_TRICKS = frozenset("/\\.%;?#") | {chr(code) for code in (*range(32), 127)}


class BadPath(FormatError):
    """A path that is malformed, or that two programs could read as two."""


class BadRule(FormatError):
    """A rule that is not written as this module says."""


def normalise(path: str) -> str:
    """Return a request's path, without its query, in its one spelling (RFC 3986 section 6.2.2).

    Raises BadPath for dot segments, empty segments, escaped separators, dots and controls, bytes
    that are not UTF-8, and whatever has no place in a path.
    """
    if len(path) > LONGEST_PATH or not _PATH.fullmatch(path):
        raise BadPath("not an absolute path")
    spelt = _ESCAPE.sub(_spell, path)
    for segment in spelt[1:].split("/"):
        if segment.partition(";")[0] in (".", ".."):
            raise BadPath("a segment of dots")
    if "//" in spelt:
        raise BadPath("an empty segment")
    try:
        text = unquote_to_bytes(spelt).decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath("escapes that are not UTF-8") from None
    if not text.isascii():
        for character in text:
            compatible = unicodedata.normalize("NFKC", character)
            if compatible != character and not _TRICKS.isdisjoint(compatible):
                raise BadPath("a character that stands for a separator")
    return spelt


def _spell(found: re.Match[str]) -> str:
    """Write one escape as RFC 3986 prefers it; raises BadPath for what must not be escaped."""
    character = chr(int(found[1], 16))
    if character in _TRICKS:
        raise BadPath("an escaped separator, dot or control")
    return character if _UNRESERVED.fullmatch(character) else found[0].upper()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, read. `segments` are those of its path; None is `*` for a whole one.

    Of an open rule the last segment is what the path goes on with.
    """

    method: str
    segments: tuple[str | None, ...]
    is_open: bool

    def allows(self, method: str, path: str) -> bool:
        """Whether it allows a call; a path that `normalise` refuses, never."""
        try:
            return self.matches(method, normalise(path))
        except BadPath:
            return False

    def matches(self, method: str, normal: str) -> bool:
        """Whether it allows a call at a path that `normalise` returned."""
        if method != self.method:
            return False
        given = normal[1:].split("/")
        last = len(self.segments) - 1
        if self.is_open:
            if len(given) <= last:
                return False
            given = [*given[:last], "/".join(given[last:])]
            prefix = self.segments[last] or ""
            return given[last].startswith(prefix) and self._all(given[:last])
        return len(given) == len(self.segments) and self._all(given)

    def _all(self, given: list[str]) -> bool:
        pairs = zip(given, self.segments, strict=False)
        return all(each == wanted if wanted is not None else each for each, wanted in pairs)


def parse(rule: str) -> Rule:
    """Read a rule; raises BadRule. The message names no part of what was given."""
    method, space, pattern = rule.partition(" ")
    if len(rule) > LONGEST_RULE or not space or not pattern.startswith("/"):
        raise BadRule("write METHOD /path")
    if method not in METHODS:
        raise BadRule(f"the method must be one of {', '.join(METHODS)}")
    is_open = pattern.endswith("*")
    segments = pattern[1:].removesuffix("*").split("/") if is_open else pattern[1:].split("/")
    read = tuple(None if each == "*" else each for each in segments)
    if any(each is not None and "*" in each for each in read) or (is_open and read[-1] is None):
        raise BadRule("* stands for a whole segment, or as the last character for any rest")
    # A letter holds the place of each whole segment: what is around it must be spelt well.
    plain = "/" + "/".join("x" if each is None else each for each in read)
    try:
        is_normal = normalise(plain) == plain
    except BadPath:
        is_normal = False
    if not is_normal:
        raise BadRule("write the path as it is forwarded: no dots, no //, no needless escapes")
    return Rule(method, read, is_open)


def allowed(rules: Iterable[Rule], method: str, path: str) -> str | None:
    """Return the path to forward where a rule allows the call, else None."""
    try:
        normal = normalise(path)
    except BadPath:
        return None
    return normal if any(rule.matches(method, normal) for rule in rules) else None
