"""Idempotency keys as once keys: the same key within 24 hours answers with the first outcome."""

import hashlib
from collections.abc import Sequence

from exchange.clock import DAY_MS, now_ms
from exchange.errors import BadInput
from exchange.formats import canonical
from exchange.ledger.write import Met, Once

PREFIX = "idempotency"


def idempotency(client_id: str, key: str | None, body: object, outcome_id: str) -> Sequence[Once]:
    """Return the once key of a write that makes `outcome_id`; none when the client sent no key."""
    if key is None:
        return ()
    outcome = {"id": outcome_id, "body": _digest(body)}
    return (Once(f"{PREFIX}:{client_id}:{key}", now_ms() + DAY_MS, outcome),)


def first_outcome(met: Met, body: object) -> str:
    """Return the id that the first request made; raises BadInput if it asked something else."""
    outcome = met.outcome or {}
    if outcome.get("body") != _digest(body):
        raise BadInput(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request.",
            status=422,
            hint="Take a new key for a new request.",
        )
    return str(outcome["id"])


def _digest(body: object) -> str:
    return hashlib.sha256(canonical.encode(body)).hexdigest()
