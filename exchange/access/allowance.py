"""What a grant's obligations count: who spends what, and what to say when it is used up.

    sessions            the first use in a quarter of an hour          in all
    calls               each call                                      in all
    calls_per_minute    each use                                       in a minute of the clock
    bytes               what is reserved; what is not sent comes back  in all
    concurrent          each use that runs, until it ends              at once

"In all" is while a grant lasts: a renewal brings a new allowance.
"""

from dataclasses import dataclass
from typing import Any, Final

from exchange.access.model import Grant
from exchange.errors import Forbidden
from exchange.ledger.write import Exhausted, Spend
from exchange.policy.model import LARGEST

MINUTE_MS: Final = 60_000
CALL_BEGINS_WITH: Final = 1  # byte reserved
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


def counter(obligation: str, grant: Grant, now_ms: int) -> str:
    """Return what counts an obligation of a grant."""
    if obligation == "calls_per_minute":
        return f"{RATES}{now_ms // MINUTE_MS:010d}:{grant.id}"
    if obligation == "concurrent":  # what runs goes on through a renewal
        return f"concurrent:{grant.id}"
    return f"{obligation}:{grant.id}" + (f":{grant.renewals}" if grant.renewals else "")


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


def given_back(grant: Grant, now_ms: int, *, unsent_bytes: int) -> list[Spend]:
    """Return what the end of a leased use gives back."""
    amounts = {"bytes": unsent_bytes, "concurrent": 1}
    return [
        Spend(counter(name, grant, now_ms), -amount, LARGEST)
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
    ceiling, left = error.ceiling, error.ceiling - error.value + held_bytes
    if name == "rate":
        seconds = (MINUTE_MS - now_ms % MINUTE_MS) // 1000 + 1
        return _later(
            "rate_exceeded", f"The grant allows {ceiling} calls a minute.", ceiling, seconds
        )
    if name == "concurrent":
        return _later(
            "too_many_at_once", f"The grant allows {ceiling} at the same time.", ceiling, 1
        )
    remedies = [{"code": "renew_grant", "params": {"grant_id": grant.id}}]
    hint = f"Renew the grant for a new allowance: `exchange grant renew {grant.id}`."
    if name == "bytes":
        detail = f"The grant allows {ceiling} bytes, and {left} are left: this needs more."
        if 0 < left < asked_bytes:
            hint = f"Ask for a range of {left} bytes at most, or renew the grant."
            remedies.insert(0, {"code": "narrow_range", "params": {"bytes": left}})
    else:
        what = {"sessions": "sessions of a quarter of an hour"}.get(name, name)
        detail = f"The grant allows {ceiling} {what} and all are used."
    members: dict[str, Any] = {"ceiling": ceiling, "left": max(left, 0), "remedies": remedies}
    return Forbidden(f"{name}_exhausted", detail, hint=hint, members=members)


def _later(code: str, detail: str, ceiling: int, seconds: int) -> Forbidden:
    return Forbidden(
        code,
        detail,
        status=429,
        hint=f"Try again in {seconds} s.",
        members={
            "ceiling": ceiling,
            "remedies": [{"code": "wait", "params": {"seconds": seconds}}],
        },
        headers={"Retry-After": str(seconds)},
    )
