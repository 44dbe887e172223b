"""What a grant's obligations count: who spends what, and what to say when it is used up.

    sessions            the first use in a quarter of an hour          in all
    calls               each call                                      in all
    calls_per_minute    each use                                       in a minute of the clock
    bytes               what is reserved; what is not sent comes back  in all
    concurrent          each use that runs, until it ends              at once

"In all" is for the days that were granted. A renewal brings a new allowance: at once where people
approved it, else when those days are over, so that nobody renews a quota away.
"""

from dataclasses import dataclass
from typing import Any, Final

from exchange.access.allowance_words import said, worded
from exchange.access.model import Grant
from exchange.clock import rfc3339
from exchange.errors import Forbidden
from exchange.ledger.write import Exhausted, Spend
from exchange.policy.model import LARGEST

MINUTE_MS: Final = 60_000
CALL_BEGINS_WITH: Final = 1  # byte reserved
AUTHORISED: Final = "authorised"
"""The method of a use that the platform's store delivers: its end is told to nobody."""
RATES: Final = "rate:"
"""Counters of minutes begin so, then the minute: what is over is swept."""


@dataclass(frozen=True, slots=True)
class UseOf:
    """What is about to be delivered: a range of one object's bytes, `last` inclusive, or a call.

    A call has no range: -1 and -1. Its object is `METHOD /path`, and the object's version that of
    the endpoint.
    """

    object_name: str
    object_version: str
    method: str
    first_byte: int
    last_byte: int

    @property
    def is_call(self) -> bool:
        """Whether it is a call, which counts by itself, and not as a session's."""
        return self.first_byte < 0

    @property
    def reserved_bytes(self) -> int:
        """Bytes that it may deliver from its start. A call reserves more as they come.

        With one it begins, or not where nothing is left.
        """
        return CALL_BEGINS_WITH if self.is_call else self.last_byte - self.first_byte + 1


def is_leased(grant: Grant) -> bool:
    """Whether its uses must say that they go on, since something is given back at their end."""
    return not grant.obligations.keys().isdisjoint(("bytes", "concurrent"))


def counter(obligation: str, grant: Grant, now_ms: int, allowance: int | None = None) -> str:
    """Return what counts an obligation of a grant, of its present allowance or another."""
    if obligation == "calls_per_minute":
        return f"{RATES}{now_ms // MINUTE_MS:010d}:{grant.id}"
    if obligation == "concurrent":  # what runs goes on through a renewal
        return f"concurrent:{grant.id}"
    number = grant.allowance_at(now_ms) if allowance is None else allowance
    return f"{obligation}:{grant.id}" + (f":{number}" if number else "")


def spends(grant: Grant, use: UseOf, now_ms: int, *, opens: bool) -> list[Spend]:
    """Return what a use spends, with its ceilings; `opens` where it is the first of a session."""
    amounts = {
        "sessions": int(opens),
        "calls": int(use.is_call),
        "calls_per_minute": 1,
        "bytes": use.reserved_bytes,
        "concurrent": 1,
    }
    return [
        Spend(counter(name, grant, now_ms), amount, int(grant.obligations[name]))
        for name, amount in amounts.items()
        if amount and name in grant.obligations
    ]


def given_back(grant: Grant, now_ms: int, allowance: int, *, unsent_bytes: int) -> list[Spend]:
    """Return what the end of a leased use gives back to the allowance that it spent."""
    amounts = {"bytes": unsent_bytes, "concurrent": 1}
    return [
        Spend(counter(name, grant, now_ms, allowance), -amount, LARGEST)
        for name, amount in amounts.items()
        if amount and name in grant.obligations
    ]


def used_up(
    error: Exhausted, grant: Grant, now_ms: int, *, asked_bytes: int = 0, held_bytes: int = 0
) -> Forbidden:
    """Return the refusal for a counter at its ceiling: what is used up, and what would help.

    `asked_bytes` are those of a range that could be narrower, `held_bytes` what the use
    holds and has not sent.
    """
    name = error.key.partition(":")[0]
    ceiling, left = error.ceiling, max(error.ceiling - error.value + held_bytes, 0)
    if name == "rate":
        seconds = (MINUTE_MS - now_ms % MINUTE_MS) // 1000 + 1
        return _refusal("rate_exceeded", {"ceiling": ceiling}, [_wait(seconds)], seconds)
    if name == "concurrent":
        return _refusal("too_many_at_once", {"ceiling": ceiling}, [_wait(1)], 1)
    remedies = [_next_allowance(grant, now_ms)]
    if name == "bytes" and 0 < left < asked_bytes:
        remedies.insert(0, {"code": "narrow_range", "params": {"bytes": left}})
    return _refusal(f"{name}_exhausted", {"ceiling": ceiling, "left": left}, remedies)


def _next_allowance(grant: Grant, now_ms: int) -> dict[str, Any]:
    """Return what brings a new allowance, and from when it does."""
    if grant.approvals:  # as it was given, so it is renewed
        return {"code": "renew_grant", "params": {"grant_id": grant.id}}
    until = grant.allowance_until_ms if now_ms < grant.allowance_until_ms else grant.ends_ms
    if until < grant.ends_ms:
        return _wait((until - now_ms) // 1000 + 1, at=rfc3339(until))
    return {"code": "renew_grant", "params": {"grant_id": grant.id, "at": rfc3339(until)}}


def _wait(seconds: int, **more: str) -> dict[str, Any]:
    return {"code": "wait", "params": {"seconds": seconds, **more}}


def _refusal(
    code: str, params: dict[str, Any], remedies: list[dict[str, Any]], seconds: int | None = None
) -> Forbidden:
    told = worded(remedies, "en")
    return Forbidden(
        code,
        said(code, params, "en") or code,
        status=403 if seconds is None else 429,
        hint=" ".join(each["text"] for each in told),
        members={**params, "remedies": told},
        headers={} if seconds is None else {"Retry-After": str(seconds)},
    )
