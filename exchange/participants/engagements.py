"""Engagements of auditors: what one may see, until when. Pure types and rules.

    scope     whose affairs the auditor may read
    whole     everybody's, and so the whole log
    named     those that an organisation of the list is a party of

One ends by its date, which the clock decides at every call, or is ended: by the operator, or given
up by the auditor. Several may be active; what is seen is the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from exchange.errors import BadInput, Forbidden
from exchange.participants.model import Organisation

Scope = Literal["whole", "named"]
EndedBy = Literal["operator", "auditor", "clock"]
MAX_DAYS = 366
MAX_NAMED = 50
MAX_ACTIVE = 50  # of one auditor
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Engagement:
    """What an operator asked an auditor to look into. `purpose` stands here, not in the log."""

    id: str
    auditor_id: str
    scope: Scope
    org_ids: Sequence[str]
    purpose: str
    ends_ms: int
    opened_by: str
    event_id: str
    ended_by: EndedBy | None
    ended_ms: int | None
    end_event_id: str | None
    rev: int
    created_ms: int

    def ended(self, now_ms: int) -> tuple[EndedBy, int] | None:
        """Return who ended it and when; the clock needs no row to have changed."""
        if self.ended_by is not None and self.ended_ms is not None:
            return self.ended_by, self.ended_ms
        return ("clock", self.ends_ms) if self.ends_ms <= now_ms else None


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose affairs beside its own an organisation may read (None: all), and what gives it that.

    `engagements` are (id, rev): whoever relies on them rechecks the revs.
    """

    org_ids: frozenset[str] | None = frozenset()
    engagements: tuple[tuple[str, int], ...] = ()


ITS_OWN, EVERYTHING = Sight(), Sight(None)


def sight_of(organisation: Organisation, engagements: Sequence[Engagement], now_ms: int) -> Sight:
    """Return what an organisation may see: an auditor what its engagements cover."""
    if organisation.status == "suspended":
        return ITS_OWN
    if "operator" in organisation.roles:
        return EVERYTHING
    if "auditor" not in organisation.roles:
        return ITS_OWN
    active = [each for each in engagements if each.ended(now_ms) is None]
    is_whole = any(each.scope == "whole" for each in active)
    named = frozenset().union(*(each.org_ids for each in active))
    return Sight(None if is_whole else named, tuple((each.id, each.rev) for each in active))


def check_end(ends_ms: int, now_ms: int) -> None:
    """Raise BadInput for an end that is past, or too far away."""
    if ends_ms <= now_ms:
        raise BadInput("end_passed", "An engagement ends in the future.", status=422)
    if ends_ms > now_ms + MAX_DAYS * DAY_MS:
        raise BadInput(
            "end_too_far",
            f"An engagement lasts {MAX_DAYS} days at most.",
            hint="Open another when it has ended.",
            status=422,
        )


def check_may_end(engagement: Engagement, org_id: str, *, operates: bool, stands: bool) -> EndedBy:
    """Return who ends it: the operator, or the auditor itself; raises Forbidden."""
    if operates:
        return "operator"
    if org_id == engagement.auditor_id and stands:
        return "auditor"
    raise Forbidden("member_role_missing", "Owners and auditors give up an engagement.")
