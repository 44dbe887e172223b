"""Documents of how a grant or a request came to its end, in words."""

from pydantic import Field

from exchange.access.endings import Closing, ClosingKind, Revocation, RevokedBy
from exchange.access.model import RevocationReason
from exchange.clock import rfc3339
from exchange.http import Body, Caller
from exchange.locales import gettext


class RevokedOut(Body):
    """Who revoked a grant, when and why. /v1/receipts/EVENT proves it."""

    revoked_by: RevokedBy
    by_organisation_id: str
    by_member_id: str | None = Field(description="Shown to their own organisation")
    reason: RevocationReason
    reason_text: str
    text: str | None = Field(description="What whoever revoked it said; the log commits to it")
    at: str
    event_id: str


class ClosedOut(Body):
    """Who closed a request without a grant, when, and in which words."""

    kind: ClosingKind
    kind_text: str
    by_organisation_id: str | None = Field(description="None: the clock")
    by_member_id: str | None = Field(description="Shown to their own organisation")
    text: str | None
    at: str
    event_id: str


def revoked_out(why: Revocation, caller: Caller, lang: str) -> RevokedOut:
    """Write why a grant was revoked."""
    return RevokedOut(
        revoked_by=why.revoked_by,
        by_organisation_id=why.by_org,
        by_member_id=why.by_member if caller.reads(why.by_org) else None,
        reason=why.reason,
        reason_text=gettext("endings", lang)(why.reason),
        text=why.text or None,
        at=rfc3339(why.at_ms),
        event_id=why.event_id,
    )


def closed_out(closing: Closing, caller: Caller, lang: str) -> ClosedOut:
    """Write how a request was closed."""
    return ClosedOut(
        kind=closing.kind,
        kind_text=gettext("endings", lang)(closing.kind),
        by_organisation_id=closing.by_org,
        by_member_id=closing.by_member if caller.reads(closing.by_org) else None,
        text=closing.text or None,
        at=rfc3339(closing.at_ms),
        event_id=closing.event_id,
    )
