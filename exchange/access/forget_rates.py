"""Counters of minutes that are over go: nobody will ask them anything any more."""

from typing import Final

from sqlalchemy import select

from exchange.access.allowance import MINUTE_MS, RATES
from exchange.clock import now_ms
from exchange.ledger.commit import COUNTERS
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Delete, Write

SWEEP: Final = 500


async def forget_rates(ledger: Ledger) -> int:
    """Delete counters of minutes before the last one; return how many went."""
    log_id, last = ledger.log_id, now_ms() // MINUTE_MS - 1
    query = (
        select(COUNTERS.c.key)
        .where(
            COUNTERS.c.log_id == log_id,
            COUNTERS.c.key >= f"{RATES}{0:010d}",
            COUNTERS.c.key < f"{RATES}{last:010d}",
        )
        .limit(SWEEP)
    )
    keys = await ledger.db.read(lambda c: c.execute(query).scalars().all())
    if keys:
        gone = [Delete(COUNTERS, {"log_id": log_id, "key": key}) for key in keys]
        await ledger.commit(Write(deletes=gone))
    return len(keys)
