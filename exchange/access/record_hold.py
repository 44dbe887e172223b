"""A hold as it is recorded: its row and leaf, and how many are open on its target.

That count stands in the target's own row, whose rev grows with it: so every decision, token and use
that had read the row is stale. Texts stand in the hold's row only; leaves commit to them.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table

from exchange.access.holds import By, Hold, HoldReason, Target, TargetKind
from exchange.access.record_decision import salted
from exchange.access.store import DECISIONS, GRANTS, HOLDS
from exchange.catalog.store import OFFERINGS
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Insert, JSONObject, LeafIndex, Update, Write
from exchange.participants.register_organisation import commitment
from exchange.participants.store import ORGANISATIONS
from exchange.policy.model import Decision, PolicyInput

TABLES: Mapping[TargetKind, Table] = {
    "grant": GRANTS,
    "offering": OFFERINGS,
    "organisation": ORGANISATIONS,
}


@dataclass(frozen=True, slots=True)
class Ground:
    """What a rule saw of a grant, and what it was told."""

    document: PolicyInput
    decision: Decision


def placing(
    ledger: Ledger,
    hold_id: str,
    target: Target,
    by: By,
    reason: HoldReason,
    text: str,
    now_ms: int,
    ground: Ground | None = None,
) -> Write:
    """Return the write that places a hold."""
    salt = secrets.token_hex(16)
    said, decision = _decided(ledger, target, ground, now_ms)
    event = ledger.event(
        "hold.placed.v1",
        target.id,
        {
            "hold_id": hold_id,
            **_about(target),
            "placed_by": by.side,
            "by": by.client_id,
            "by_member": by.member_id,
            "reason": reason,
            "text_commitment": commitment(salt, text) if text else None,
            **said,
        },
        consumer_id=target.consumer_id,
        provider_id=target.provider_id,
        time_ms=now_ms,
    )
    row = {
        "log_id": ledger.log_id,
        "id": hold_id,
        "target_kind": target.kind,
        "target_id": target.id,
        "consumer_id": target.consumer_id,
        "provider_id": target.provider_id,
        "placed_by": by.side,
        "by_org": by.org_id,
        "by_client": by.client_id,
        "by_member": by.member_id,
        "reason": reason,
        "text": text,
        "salt": salt,
        "decision_id": said["decision_id"],
        "placed_ms": now_ms,
        "event_id": event.id,
        **dict.fromkeys(LIFTED),
        "rev": 1,
    }
    inserts = [Insert(HOLDS, row), *_with_event(decision, event.id)]
    return Write([event], inserts=inserts, updates=[_counted(target, 1)])


LIFTED = (
    *("lifted_ms", "lifted_by", "lifted_by_org", "lifted_by_client", "lifted_by_member"),
    *("lift_text", "lift_salt", "lift_decision_id", "lift_event_id"),
)


def lifting(
    ledger: Ledger,
    hold: Hold,
    target: Target,
    by: By,
    text: str,
    now_ms: int,
    ground: Ground | None = None,
) -> Write:
    """Return the write that lifts an open hold."""
    salt = secrets.token_hex(16)
    said, decision = _decided(ledger, target, ground, now_ms)
    event = ledger.event(
        "hold.lifted.v1",
        target.id,
        {
            "hold_id": hold.id,
            **_about(target),
            "lifted_by": by.side,
            "by": by.client_id,
            "by_member": by.member_id,
            "text_commitment": commitment(salt, text) if text else None,
            **said,
        },
        consumer_id=target.consumer_id,
        provider_id=target.provider_id,
        time_ms=now_ms,
    )
    values = (
        *(now_ms, by.side, by.org_id, by.client_id, by.member_id),
        *(text, salt, said["decision_id"], event.id),
    )
    update = Update(HOLDS, hold.id, hold.rev, dict(zip(LIFTED, values, strict=True)))
    return Write(
        [event],
        inserts=_with_event(decision, event.id),
        updates=[update, _counted(target, -1)],
    )


def _about(target: Target) -> JSONObject:
    return {
        "target_kind": target.kind,
        "target_id": target.id,
        "offering_id": target.offering_id,
        "request_id": target.request_id,
    }


def _counted(target: Target, more: int) -> Update:
    values = {"holds": target.holds + more}
    return Update(TABLES[target.kind], target.id, target.rev, values)


def _decided(
    ledger: Ledger, target: Target, ground: Ground | None, now_ms: int
) -> tuple[JSONObject, JSONObject | None]:
    """Return what the leaf says of a rule's decision, and the decision's row, without its event."""
    if ground is None:
        nothing = ("decision_id", "policy_digest", "input_hash", "result_hash")
        return {**dict.fromkeys(nothing), "reasons": []}, None
    decision = ground.decision
    result = decision.as_document()
    input_salt, input_hash = salted(ground.document)
    result_salt, result_hash = salted(result)
    decision_id = new_id("dec", ledger.log_id)
    said = {
        "decision_id": decision_id,
        "policy_digest": decision.policy_digest,
        "input_hash": input_hash,
        "result_hash": result_hash,
        "reasons": [reason.code for reason in decision.reasons],
    }
    row = {
        "log_id": ledger.log_id,
        "id": decision_id,
        "request_id": target.request_id,
        "consumer_id": target.consumer_id,
        "provider_id": target.provider_id,
        "outcome": decision.outcome,
        "reasons": result["reasons"],
        "remedies": result["remedies"],
        "obligations": result["obligations"],
        "policy_digest": decision.policy_digest,
        "input": ground.document,
        "input_salt": input_salt,
        "result_salt": result_salt,
        "decided_ms": now_ms,
        "leaf_index": LeafIndex(),
    }
    return said, row


def _with_event(decision: Mapping[str, Any] | None, event_id: str) -> list[Insert]:
    return [] if decision is None else [Insert(DECISIONS, {**decision, "event_id": event_id})]
