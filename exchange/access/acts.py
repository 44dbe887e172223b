"""What may be done about a request, by whom and when: pure rules.

    act        by          while                          leaves it to
    approve    provider    pending                        nobody, once enough people have
    reject     provider    pending                        nobody
    ask        provider    pending                        the applicant
    answer     consumer    pending, and asked             the provider
    comment    either      pending                        whoever has it
    withdraw   consumer    pending                        nobody
    appeal     consumer    refused in whatever way        the provider, where people refused

An appeal against a rejection or a lapse makes the request pend again; against a policy's denial or
a grant's suspension or revocation it stands on record, and the platform acts on that as it can.
A renewal pends only while it would prolong its grant: never again where that was revoked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from exchange.access.model import Answer, Grant, RequestStatus, Side
from exchange.clock import DAY_MS
from exchange.errors import Conflict

Act = Literal["approve", "reject", "ask", "answer", "comment", "withdraw", "appeal"]
NEVER_MS: Final = 2**53 - 1
MAX_STEPS: Final = 200  # of a side; comments are counted apart, and what settles not at all
SETTLING: Final = ("reject", "withdraw")
PENDING: Final = "pending_approval"


@dataclass(frozen=True, slots=True)
class Rule:
    """Who acts (None: either side), with which scope, and the leaf's kind."""

    side: Side | None
    scope: str
    kind: str


RULES: Mapping[Act, Rule] = MappingProxyType(
    {
        "approve": Rule("provider", "approvals", "approved"),
        "reject": Rule("provider", "approvals", "rejected"),
        "ask": Rule("provider", "approvals", "questioned"),
        "answer": Rule("consumer", "requests", "answered"),
        "comment": Rule(None, "grants", "commented"),
        "withdraw": Rule("consumer", "requests", "withdrawn"),
        "appeal": Rule("consumer", "grants", "appealed"),
    }
)


@dataclass(frozen=True, slots=True)
class Next:
    """A request's state after an act: its status, whose turn it is, when it is due."""

    status: RequestStatus
    waits_for: Side | None
    since_ms: int
    until_ms: int
    remind_ms: int

    def values(self) -> dict[str, Any]:
        """Return them as a request's row holds them; `asdict` takes ten times as long."""
        return {
            "status": self.status,
            "waits_for": self.waits_for,
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "remind_ms": self.remind_ms,
        }


def waiting(side: Side, now_ms: int, answer_days: int) -> Next:
    """Return the state of a request that a side has to act on: reminded half-way."""
    span = answer_days * DAY_MS
    return Next(PENDING, side, now_ms, now_ms + span, now_ms + span // 2)


def settled(status: RequestStatus, now_ms: int) -> Next:
    """Return the state of a request that nobody has to act on."""
    return Next(status, None, now_ms, NEVER_MS, NEVER_MS)


def after(act: Act, held: Answer, now_ms: int, answer_days: int) -> Next | None:
    """Return a request's next state; None where the act changes none. Raises Conflict.

    Approving is not here: what comes of it is the policy's to say (approve_request.py).
    """
    if act == "appeal":
        return _appealed(held, now_ms, answer_days)
    check_pending(held, now_ms)
    if act == "comment":
        return None
    if act == "ask":
        return waiting("consumer", now_ms, answer_days)
    if act == "answer":
        if held.waits_for != "consumer":
            raise Conflict(
                "nothing_asked",
                "The platform has asked nothing since your last answer.",
                hint="Leave a comment instead.",
            )
        return waiting("provider", now_ms, answer_days)
    return settled("rejected" if act == "reject" else "withdrawn", now_ms)


def check_pending(held: Answer, now_ms: int) -> None:
    """Raise Conflict unless the request waits for somebody, and its time to be answered runs.

    Once that is over the request lapses, though the leaf that says so follows the clock.
    """
    status = "lapsed" if held.status == PENDING and held.until_ms <= now_ms else held.status
    if status != PENDING:
        raise Conflict(
            "request_settled",
            f"The request is {status.replace('_', ' ')}.",
            hint="An applicant who was refused may appeal, or ask anew.",
        )


def check_prolongs(grant: Grant, version: int, days: int, now_ms: int) -> None:
    """Raise Conflict unless a renewal of so many days, on a version's terms, prolongs a grant.

    A grant's end never comes earlier, and its terms never become older, but by revoking it.
    """
    if grant.status == "revoked":
        raise Conflict(
            "grant_revoked",
            f"{grant.id} was revoked for good: nothing renews it.",
            hint="Reject the renewal; the applicant may appeal, or ask for access anew.",
        )
    if grant.offering_version > version:
        raise Conflict(
            "renewal_outdated",
            f"The grant was renewed on version {grant.offering_version} of the offering since; "
            f"this renewal is of version {version}.",
            hint="Renew the grant anew, on the terms of today.",
        )
    if now_ms + days * DAY_MS <= grant.ends_ms:
        raise Conflict(
            "renewal_shortens",
            f"The grant lasts longer than {days} days from now as it is.",
            hint="Days count from now: ask for more, or later.",
        )


def _appealed(held: Answer, now_ms: int, answer_days: int) -> Next | None:
    grant = held.grant if held.renews is not None else None
    was_revoked = grant is not None and grant.status == "revoked"
    if held.status in ("rejected", "lapsed") and not was_revoked:
        if grant is not None and grant.state(now_ms) != "ended":
            check_prolongs(grant, held.offering_version, held.ask.days, now_ms)
        return waiting("provider", now_ms, answer_days)
    refused = held.status == "denied"
    if held.grant is not None:
        refused = refused or held.grant.state(now_ms) in ("revoked", "suspended")
    if not refused:
        raise Conflict(
            "nothing_to_appeal",
            "Neither the request nor its grant was refused or taken away.",
            hint="While it waits, leave a comment, or withdraw it and ask anew.",
        )
    return None
