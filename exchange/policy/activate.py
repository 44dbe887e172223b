"""Put this process's policies in force: a leaf whenever the digest changes."""

from dataclasses import dataclass

from sqlalchemy import select

from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Insert, Update, Write
from exchange.policy.door import PolicyEngine
from exchange.policy.tables import PolicyStateRow

STATE = PolicyStateRow.__table__  # type: ignore[attr-defined]
ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """The engine and the rev under which its digest is in force."""

    engine: PolicyEngine
    rev: int


async def activate_policy(ledger: Ledger, engine: PolicyEngine) -> PolicyInForce:
    """Make `engine`'s digest the one in force.

    Another worker that still runs other policies finds its decisions stale from then on and
    answers 503 rather than decide by them.
    """
    rev = 1

    async def build() -> Write:
        nonlocal rev
        row = await ledger.db.point(
            lambda c: c.execute(select(STATE).where(STATE.c.id == ACTIVE)).one_or_none()
        )
        if row is not None and row.digest == engine.digest:
            rev = row.rev
            return Write(reads={(STATE, ACTIVE): row.rev})
        event = ledger.event(
            "policy.activated.v1",
            ACTIVE,
            {"digest": engine.digest, "before": row.digest if row is not None else None},
        )
        if row is None:
            values = {"id": ACTIVE, "digest": engine.digest, "rev": 1}
            return Write([event], inserts=[Insert(STATE, values)])
        rev = row.rev + 1
        return Write([event], updates=[Update(STATE, ACTIVE, row.rev, {"digest": engine.digest})])

    await commit_fresh(ledger, build)
    return PolicyInForce(engine, rev)
