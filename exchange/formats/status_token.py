"""What the exchange signs about grants' statuses: whole lists, changes to them, heartbeats.

- `statuslist+jwt`: a Status List Token (draft-ietf-oauth-status-list, section 5.1) with the log's
  size at which the list was so, `log_index`;
- `status-delta+jwt`: what changed on the way from one size of the log to another;
- `status-heartbeat+jwt`: that nothing did.

A delta or heartbeat is one event of one stream, which the reader named by a nonce of its own. So
nobody can play an event of another stream, and `previous_index` makes an event left out visible.
`as_of_ms` counts from the stream's beginning, on a clock that nobody sets: when the exchange looked
into its log, not when it wrote. No reader needs anybody's wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from exchange.formats.errors import FormatError
from exchange.formats.jws import TokenRefused, read_json
from exchange.formats.status_list import MOST_INDEXES, WORDS, StatusList

LIST_TYPE: Final = "statuslist+jwt"
DELTA_TYPE: Final = "status-delta+jwt"
HEARTBEAT_TYPE: Final = "status-heartbeat+jwt"
LIST_BYTES: Final = 8 << 20
"""Longest list token. One that no compression helps is a third of it longer than 4 MiB, twice."""
EVENT_BYTES: Final = 64 << 10
MOST_CHANGES: Final = 2_000
"""Changes in one delta; where there are more the whole list is fetched."""
LONGEST_MS: Final = 1 << 40
LARGEST_SIZE: Final = 1 << 53

Change = tuple[int, int]


class Opens(Protocol):
    """The exchange's public keys (`tokens.KeySet`)."""

    def opened(self, token: str, kind: str, most: int) -> bytes:
        """Return the claims' bytes of a token of this `typ`; raises TokenRefused."""


@dataclass(frozen=True, slots=True)
class ListToken:
    """A list as it was when the log had `log_index` entries."""

    uri: str
    log_index: int
    statuses: StatusList


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """What changed between two sizes of the log, nothing in a heartbeat.

    It was so `as_of_ms` milliseconds after the stream's beginning.
    """

    uri: str
    nonce: str
    previous_index: int
    log_index: int
    as_of_ms: int
    changes: Sequence[Change] = ()

    def claims(self, issuer: str) -> dict[str, Any]:
        """Return what is signed."""
        claims: dict[str, Any] = {
            "iss": issuer,
            "sub": self.uri,
            "nonce": self.nonce,
            "previous_index": self.previous_index,
            "log_index": self.log_index,
            "as_of_ms": self.as_of_ms,
        }
        if self.changes:
            claims["changes"] = [list(each) for each in self.changes]
        return claims

    @property
    def kind(self) -> str:
        """Its `typ`."""
        return DELTA_TYPE if self.changes else HEARTBEAT_TYPE


def list_claims(
    issuer: str,
    uri: str,
    statuses: StatusList,
    log_index: int,
    *,
    now: int,
    ttl: int,
    lifetime: int,
) -> dict[str, Any]:
    """Return the claims of a Status List Token; `now` is a NumericDate, the others seconds."""
    return {
        "iss": issuer,
        "sub": uri,
        "iat": now,
        "exp": now + lifetime,
        "ttl": ttl,
        "log_index": log_index,
        "status_list": statuses.encode(),
    }


def read_list_token(token: str, keys: Opens, *, issuer: str, uri: str) -> ListToken:
    """Verify the token of this very list; raises FormatError.

    `iat` and `exp` are for those who have nothing but the list. Whoever follows the log from
    `log_index` on knows better than a clock how far behind it is, so they are not looked at.
    """
    claims = read_json(keys.opened(token, LIST_TYPE, LIST_BYTES))
    _check_source(claims, issuer, uri)
    size = _whole(claims, "log_index", LARGEST_SIZE)
    return ListToken(uri, size, StatusList.decode(claims.get("status_list")))


def read_status_event(
    token: str, keys: Opens, *, kind: str, issuer: str, uri: str, nonce: str
) -> StatusEvent:
    """Verify a delta or heartbeat of this very list and stream; raises FormatError."""
    claims = read_json(keys.opened(token, kind, EVENT_BYTES))
    _check_source(claims, issuer, uri)
    if claims.get("nonce") != nonce:
        raise TokenRefused("token_malformed", "an event of another stream")
    event = StatusEvent(
        uri=uri,
        nonce=nonce,
        previous_index=_whole(claims, "previous_index", LARGEST_SIZE),
        log_index=_whole(claims, "log_index", LARGEST_SIZE),
        as_of_ms=_whole(claims, "as_of_ms", LONGEST_MS),
        changes=_changes(claims.get("changes", [])),
    )
    if event.log_index < event.previous_index or event.kind != kind:
        raise TokenRefused("token_malformed", "not what an event of this kind says")
    return event


def _check_source(claims: dict[str, Any], issuer: str, uri: str) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefused("token_issuer_wrong", "another issuer's list")
    if claims.get("sub") != uri:
        raise TokenRefused("token_audience_wrong", "another list")


def _whole(claims: dict[str, Any], name: str, most: int) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= most:
        raise TokenRefused("token_malformed", f"{name} is missing or not a number of ours")
    return value


def _changes(value: object) -> list[Change]:
    if not isinstance(value, list) or len(value) > MOST_CHANGES:
        raise FormatError("changes are missing, or too many")
    found: list[Change] = []
    for each in value:
        if not isinstance(each, list) or len(each) != 2:
            raise FormatError("a change is an index and a status")
        index, status = each
        if type(index) is not int or not 0 <= index < MOST_INDEXES:
            raise FormatError("no such index")
        if type(status) is not int or status not in WORDS:
            raise FormatError("no such status")
        found.append((index, status))
    return found
