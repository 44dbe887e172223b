"""May this call be made? Its path in the one spelling that is compared and forwarded.

    9.  service      the grant's offering is a service's, not of files
    10. path         of one spelling, with nothing that two programs could read as two
    11. offering     one of the offering's rules allows the method and the path
    12. obligation   and one of the grant's, where it has `paths`
    13. query        visible ASCII only
    14. body         framed in one way, and within the offering's limit where it says how long it is

After checks 1 to 8 of `verify`; the first that fails ends the walk, as a GatewayProblem.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from starlette.types import Scope

from connectors.gateway.door import Delivery
from connectors.gateway.problems import GatewayProblem, NotHere, Refused
from exchange.formats.allowed_paths import BadPath, BadRule, Rule, normalise, parse

CONNECTOR: Final = "http"
PATHS: Final = "paths"
_QUERY: Final = re.compile(rb"[\x21\x24-\x7e]*")  # neither quotes nor #, as RFC 3986 has none


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that may be made: `path` and `query` as they are forwarded.

    `length` is that of the body, -1 for one that is chunked, None where there is none.
    """

    method: str
    path: str
    query: bytes
    length: int | None

    @property
    def name(self) -> str:
        """What a use is recorded under."""
        return f"{self.method} {self.path}"


def may_call(delivery: Delivery, scope: Scope) -> Asked:
    """Walk checks 9 to 14; raises GatewayProblem."""
    # 9. service
    if delivery.connector != CONNECTOR:
        raise NotHere("nothing_to_call", "The grant's offering is no service that can be called.")

    # 10. path: as it was sent, since what is decoded has lost what was escaped
    prefix = f"/gateway/grants/{delivery.grant_id}/call/".encode("ascii")
    raw: bytes = scope.get("raw_path") or b""
    if not raw.startswith(prefix):
        raise _path_refused("the way to it is written in escapes")
    try:
        path = normalise("/" + raw[len(prefix) :].decode("ascii"))
    except (BadPath, UnicodeDecodeError) as error:
        raise _path_refused(str(error) if isinstance(error, BadPath) else "not ASCII") from None

    # 11. offering
    method = str(scope["method"])
    _require(delivery.source.get("allow"), method, path, "offering")

    # 12. obligation
    if PATHS in delivery.obligations:
        _require(delivery.obligations[PATHS], method, path, "grant")

    # 13. query
    query: bytes = scope["query_string"]
    if not _QUERY.fullmatch(query):
        raise GatewayProblem("query_refused", 400, "The query holds what no URL does.")
    return Asked(method, path, query, _length(scope))


def check_length(asked: Asked, limit: int) -> None:
    """Check 14 where the body's length is known; raises GatewayProblem."""
    if (asked.length or 0) > limit:
        raise too_large(limit)


def too_large(limit: int) -> GatewayProblem:
    """Return the refusal of a body beyond the offering's limit."""
    detail = f"The offering takes bodies of {limit} bytes at most."
    return GatewayProblem("call_too_large", 413, detail, headers={"Connection": "close"})


def _length(scope: Scope) -> int | None:
    """Return a body's length. The server's parser has refused most of what is refused here."""
    named = [value for name, value in scope["headers"] if name == b"content-length"]
    coded = [value for name, value in scope["headers"] if name == b"transfer-encoding"]
    is_old = scope.get("http_version") == "1.0"
    if coded and (named or is_old or [each.strip().lower() for each in coded] != [b"chunked"]):
        raise GatewayProblem(
            "body_refused", 400, "The body's length is said in more ways than one."
        )
    if coded:
        return -1
    if len(named) > 1 or (named and not (named[0].isdigit() and len(named[0]) < 19)):
        raise GatewayProblem("body_refused", 400, "The body's length is no number.")
    if named:
        return int(named[0])
    return 0 if scope["method"] in ("POST", "PUT", "PATCH") else None  # RFC 9110 section 8.6


def _require(written: Any, method: str, path: str, whose: str) -> None:
    """Refuse what no rule allows, and say what is allowed; rules that cannot be read allow none."""
    if not isinstance(written, (list, tuple)) or not all(isinstance(rule, str) for rule in written):
        raise Refused("rules_unreadable", f"Which calls the {whose} allows cannot be read.")
    try:
        rules = _parsed(tuple(written))
    except BadRule as error:
        raise Refused(
            "rules_unreadable", f"Which calls the {whose} allows cannot be read."
        ) from error
    if not any(rule.matches(method, path) for rule in rules):
        raise GatewayProblem(
            "call_not_allowed",
            403,
            f"The {whose} does not allow this method and path.",
            hint=f"It allows: {', '.join(written)}",
        )


@lru_cache(maxsize=1000)
def _parsed(written: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(parse(rule) for rule in written)


def _path_refused(why: str) -> GatewayProblem:
    return GatewayProblem("path_refused", 400, f"The path cannot be forwarded: {why}.")


def shown_rules(delivery: Delivery) -> Sequence[str]:
    """Return the rules that a grant's holder is shown: those of the offering, or its narrower."""
    rules = delivery.obligations.get(PATHS, delivery.source.get("allow"))
    return [str(rule) for rule in rules] if isinstance(rules, (list, tuple)) else []
