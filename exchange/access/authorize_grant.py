"""May a token be given for this grant now? The policy is asked again; nothing new is logged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from exchange.access.model import Ask, Grant, policy_input
from exchange.access.parties import Around
from exchange.access.request_access import Desk, decide, in_version
from exchange.access.store import GRANTS
from exchange.catalog.store import OFFERINGS
from exchange.clock import now_ms
from exchange.errors import Conflict, Denied, NotFound, Unavailable
from exchange.ledger.write import RowKey, Stale
from exchange.participants.model import Client, Organisation
from exchange.participants.store import ORGANISATIONS
from exchange.policy.activate import ACTIVE, STATE
from exchange.policy.model import PolicyInput

R = TypeVar("R")
HINTS = {
    "suspended": "GET /v1/grants/GRANT says who suspended it and why; it works again once the "
    "holds are lifted. You may appeal.",
    "revoked": "GET /v1/grants/GRANT says who revoked it, when and why. You may appeal, or ask "
    "anew.",
    "ended": "Ask for access again.",
}


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What a grant token may say, and the revs under which it may be given."""

    grant_id: str
    offering_id: str
    ends_ms: int
    authorization_details: list[dict[str, Any]]
    reads: Mapping[RowKey, int]
    provider_id: str
    status_index: int


async def authorize_grant(
    desk: Desk, client: Client, consumer: Organisation, grant_id: str, *, fresh: bool = True
) -> GrantTerms:
    """Return what a token for this grant may say.

    The terms are those of the offering's version that was granted: withdrawing or changing an
    offering stops new grants only. The attributes of the consumer are those of today.

    Unless `fresh` it is judged by rows in memory, so the caller has to recheck `reads` in a commit.
    Raises NotFound, Conflict (suspended, revoked or ended), Denied (with reasons), Unavailable; in
    their place Stale unless `fresh`, for a refusal is not rechecked.
    """
    try:
        return await _authorize(desk, client, consumer, grant_id, fresh=fresh)
    except (NotFound, Conflict, Denied):
        if fresh:
            raise
        raise Stale([]) from None


async def _authorize(
    desk: Desk, client: Client, consumer: Organisation, grant_id: str, *, fresh: bool
) -> GrantTerms:
    grant = await desk.store.grants_kept.get(grant_id, fresh=fresh)
    if grant is None or grant.client_id != client.id:
        raise NotFound("grant_unknown", "No such grant of this client.")
    current = await desk.catalog.offerings.get(grant.offering_id, fresh=fresh)
    provider = await desk.participants.organisations.get(grant.provider_id, fresh=fresh)
    if current is None or provider is None:
        raise Unavailable("grant_incomplete", "The grant's offering cannot be read.")
    now = now_ms()
    # Holds are counted in the rows whose revs are rechecked, not in those of the query.
    around = current.holds + consumer.holds + provider.holds
    state = _as_if(grant, holds_around=around).state(now)
    if state != "active":
        raise Conflict(
            f"grant_{state}",
            f"The grant is {state}.",
            hint=HINTS[state],
            members={"grant_id": grant.id},
        )
    document = await input_of(desk, grant, Around(consumer, provider, current), now)
    decision = await decide(desk.policy, document)
    if decision.outcome != "permit":
        raise Denied(
            "access_denied",
            "The policy would not grant this today.",
            members={
                "reasons": [reason.as_document() for reason in decision.reasons],
                "remedies": [remedy.as_document() for remedy in decision.remedies],
            },
        )
    return GrantTerms(
        grant.id,
        grant.offering_id,
        grant.ends_ms,
        [details_of(grant, current.terms.kind)],
        {
            (GRANTS, grant.id): grant.rev,
            (OFFERINGS, current.id): current.rev,
            (ORGANISATIONS, consumer.id): consumer.rev,
            (ORGANISATIONS, provider.id): provider.rev,
            (STATE, ACTIVE): desk.policy.rev,
        },
        grant.provider_id,
        grant.status_index,
    )


async def input_of(desk: Desk, grant: Grant, around: Around, now: int) -> PolicyInput:
    """Return what the policy is told when it is asked again about a grant.

    Withdrawn or not, the offering is as it was granted, and holds are left out: they suspend by
    themselves, whatever the policy says.
    """
    granted = await in_version(desk, around.offering, grant.offering_version)
    ask = Ask(
        grant.offering_id,
        grant.purpose,
        tuple(grant.actions),
        int(grant.obligations["days"]),
    )
    return policy_input(
        now,
        _as_if(around.consumer, status="active"),
        _as_if(around.provider, status="active"),
        _as_if(granted, status="published", holds=0),
        ask,
        grant.approvals,
    )


def _as_if(row: R, **values: object) -> R:
    """Return a row with these values; nearly always it has them, and a copy has its price."""
    if all(getattr(row, name) == value for name, value in values.items()):
        return row
    return replace(row, **values)  # type: ignore[type-var]  # rows are dataclasses


def details_of(grant: Grant, kind: str) -> dict[str, Any]:
    """Return the grant as RFC 9396 authorization details."""
    return {
        "type": kind,
        "grant_id": grant.id,
        "offering": grant.offering_id,
        "offering_version": grant.offering_version,
        "purpose": grant.purpose,
        "actions": list(grant.actions),
    }
