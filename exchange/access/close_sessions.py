"""Close delivery sessions whose time is over, each with a leaf that sums up its uses.

First a session becomes "closing", which changes its rev: no further use can join it. Only then are
its uses counted, so the leaf misses none that was on its way.
"""

from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, func, select

from exchange.access.allowance import AUTHORISED
from exchange.access.store import SESSIONS, USE_ENDS, USES
from exchange.clock import now_ms
from exchange.formats import canonical
from exchange.formats.merkle import leaf_hash, root_of
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Stale, Update, Write

SWEEP = 100


async def close_sessions(ledger: Ledger) -> int:
    """Close sessions whose time is over, a leaf each; return how many."""
    query = (
        select(SESSIONS)
        .where(
            SESSIONS.c.log_id == ledger.log_id,
            SESSIONS.c.status.in_(["open", "closing"]),
            SESSIONS.c.expires_ms <= now_ms(),
        )
        .limit(SWEEP)
    )
    closed = 0
    for session in await ledger.db.read(lambda c: c.execute(query).all()):
        try:
            rev = session.rev
            if session.status == "open":
                update = Update(SESSIONS, session.id, rev, {"status": "closing"})
                await ledger.commit(Write(updates=[update]))
                rev += 1
            summed = partial(_closing, ledger=ledger, session=session, rev=rev)
            await ledger.commit(await ledger.db.read(summed))
            closed += 1
        except Stale:
            continue  # another worker closed it
    return closed


def _closing(connection: Connection, *, ledger: Ledger, session: Row[Any], rev: int) -> Write:
    log_id, session_id = ledger.log_id, session.id
    uses = connection.execute(
        select(USES)
        .where(USES.c.log_id == log_id, USES.c.session_id == session_id)
        .order_by(USES.c.id)
    ).all()
    ends = connection.execute(
        select(func.count(), func.coalesce(func.sum(USE_ENDS.c.sent_bytes), 0))
        .select_from(USE_ENDS)
        .join(USES, (USES.c.log_id == USE_ENDS.c.log_id) & (USES.c.id == USE_ENDS.c.use_id))
        .where(USES.c.log_id == log_id, USES.c.session_id == session_id)
    ).one()
    root = root_of([leaf_hash(canonical.encode(dict(use._mapping))) for use in uses])
    authorised = sum(use.method == AUTHORISED for use in uses)
    sums = {
        "uses": len(uses),
        "sent_bytes": int(ends[1]),
        "authorised": authorised,
        "ended_unknown": len(uses) - int(ends[0]) - authorised,
    }
    event = ledger.event(
        "delivery.closed.v2",
        session_id,
        {
            "session_id": session_id,
            "grant_id": session.grant_id,
            "uses_root": root.hex(),
            **sums,
        },
        consumer_id=session.consumer_id,
        provider_id=session.provider_id,
    )
    closed = {"status": "closed", **sums}
    return Write([event], updates=[Update(SESSIONS, session_id, rev, closed)])
