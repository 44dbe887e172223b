"""Why a grant was revoked, and how people or the clock closed a request: recorded and read.

The words stand in rows only; leaves commit to them with a salt, as a hold's do.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from sqlalchemy import bindparam, select

from exchange.access.model import Answer, Grant, RevocationReason
from exchange.access.store import REVOCATIONS, STEPS
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert
from exchange.participants.register_organisation import commitment

RevokedBy = Literal["platform", "operator"]
ClosingKind = Literal["rejected", "withdrawn", "lapsed"]
CLOSING: Final[frozenset[str]] = frozenset({"rejected", "withdrawn", "lapsed"})


@dataclass(frozen=True, slots=True)
class Revocation:
    """Who revoked a grant, when and why."""

    grant_id: str
    revoked_by: RevokedBy
    by_org: str
    by_client: str
    by_member: str | None
    reason: RevocationReason
    text: str
    salt: str
    at_ms: int
    event_id: str


@dataclass(frozen=True, slots=True)
class Closing:
    """The step that closed a request; without an organisation it was the clock."""

    request_id: str
    kind: ClosingKind
    by_org: str | None
    by_member: str | None
    text: str
    at_ms: int
    event_id: str


# Built once: each answer to a request would build them anew, and nearly none has use for them.
_REVOCATIONS = select(*(REVOCATIONS.c[each.name] for each in fields(Revocation))).where(
    REVOCATIONS.c.log_id == bindparam("log"),
    REVOCATIONS.c.grant_id.in_(bindparam("ids", expanding=True)),
)
_CLOSINGS = (
    select(*(STEPS.c[each.name] for each in fields(Closing)))
    .where(
        STEPS.c.log_id == bindparam("log"),
        STEPS.c.request_id.in_(bindparam("ids", expanding=True)),
        STEPS.c.kind.in_(CLOSING),
    )
    .order_by(STEPS.c.id)
)


def revoking(
    ledger: Ledger, grant: Grant, caller: Caller, reason: RevocationReason, text: str, now_ms: int
) -> tuple[Event, Insert]:
    """Return the leaf and the row of a revocation."""
    salt = secrets.token_hex(16)
    event = ledger.event(
        "grant.revoked.v2",
        grant.id,
        {
            "grant_id": grant.id,
            "reason": reason,
            "by": caller.client_id,
            "by_member": caller.member_id,
            "text_commitment": commitment(salt, text) if text else None,
        },
        consumer_id=grant.consumer_id,
        provider_id=grant.provider_id,
        time_ms=now_ms,
    )
    row = {
        "log_id": ledger.log_id,
        "grant_id": grant.id,
        "revoked_by": "platform" if caller.org_id == grant.provider_id else "operator",
        "by_org": caller.org_id,
        "by_client": caller.client_id,
        "by_member": caller.member_id,
        "reason": reason,
        "text": text,
        "salt": salt,
        "at_ms": now_ms,
        "event_id": event.id,
    }
    return event, Insert(REVOCATIONS, row)


class Endings:
    """Reads of one log; whoever may read the grant or the request may read these."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.db = ledger, ledger.db

    async def revocations(self, grants: Sequence[Grant]) -> Mapping[str, Revocation]:
        """Return why each of these that was revoked was, by the grant's id."""
        ids = [grant.id for grant in grants if grant.status == "revoked"]
        rows = await self._rows(_REVOCATIONS, ids)
        return {row.grant_id: Revocation(**row._asdict()) for row in rows}

    async def closings(self, answers: Sequence[Answer]) -> Mapping[str, Closing]:
        """Return the last step that closed each of these requests, by the request's id."""
        ids = [answer.request_id for answer in answers if answer.status in CLOSING]
        rows = await self._rows(_CLOSINGS, ids)
        return {row.request_id: Closing(**row._asdict()) for row in rows}

    async def _rows(self, query: Any, ids: Sequence[str]) -> Sequence[Any]:
        if not ids:
            return ()
        wanted = {"log": self.ledger.log_id, "ids": ids}
        return await self.db.read(lambda c: c.execute(query, wanted).all())
