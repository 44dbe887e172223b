"""Open an engagement: the operator asks an auditor to look into some organisations' affairs."""

import secrets
from collections.abc import Sequence

from exchange.clock import now_ms
from exchange.errors import BadInput, Conflict
from exchange.formats.receipt import Receipt
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Committed, Insert, Met, Write
from exchange.participants.engagements import MAX_ACTIVE, Engagement, Scope, check_end
from exchange.participants.engagements_store import (
    ENGAGEMENTS,
    EngagementsStore,
    open_engagements,
)
from exchange.participants.register_organisation import commitment
from exchange.participants.store import ORGANISATIONS, Participants, acting


async def open_engagement(
    store: EngagementsStore,
    participants: Participants,
    caller: Caller,
    auditor_id: str,
    *,
    scope: Scope,
    org_ids: Sequence[str],
    ends_ms: int,
    purpose: str,
    idempotency_key: str | None = None,
) -> tuple[Engagement, Receipt | None]:
    """Return the engagement and the receipt of its leaf, None where this was done before.

    Raises BadInput for an end that is past or too far away, or an organisation that is no auditor,
    NotFound, Conflict for one too many.
    """
    ledger, engagement_id, salt = store.ledger, new_id("eng"), secrets.token_hex(16)
    named = sorted(org_ids)
    body = [auditor_id, scope, named, ends_ms, purpose]
    once = idempotency(caller.client_id, idempotency_key, body, engagement_id)

    async def build() -> Write:
        now = now_ms()
        check_end(ends_ms, now)
        auditor = await participants.organisation(auditor_id)
        if "auditor" not in auditor.roles:
            raise BadInput("no_auditor", "That organisation is no auditor.", status=422)
        for org_id in named:
            await participants.organisation(org_id)
        held = await open_engagements(ledger.db, auditor_id)
        if sum(each.ended(now) is None for each in held) >= MAX_ACTIVE:
            raise Conflict(
                "too_many_engagements",
                f"An auditor has at most {MAX_ACTIVE} active engagements.",
                hint="End one, or open one with a wider scope.",
            )
        event = ledger.event(
            "engagement.opened.v1",
            auditor_id,  # other workers drop what they hold of it, the auditor's sight with that
            {
                "engagement_id": engagement_id,
                "auditor_id": auditor_id,
                "scope": scope,
                "organisations": named,
                "ends_ms": ends_ms,
                "purpose_commitment": commitment(salt, purpose),
                "by": caller.client_id,
            },
            consumer_id=auditor_id,
        )
        row = {
            "id": engagement_id,
            "auditor_id": auditor_id,
            "scope": scope,
            "org_ids": named,
            "purpose": purpose,
            "salt": salt,
            "ends_ms": ends_ms,
            "opened_by": caller.client_id,
            "event_id": event.id,
            "ended_by": None,
            "ended_ms": None,
            "end_event_id": None,
            "rev": 1,
            "created_ms": now,
        }
        reads = {(ORGANISATIONS, auditor_id): auditor.rev, **acting(caller)}
        return Write([event], reads=reads, inserts=[Insert(ENGAGEMENTS, row)], once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        engagement_id = first_outcome(result, body)
    receipt = result.receipts[0] if isinstance(result, Committed) else None
    return await store.engagement(engagement_id, caller), receipt
