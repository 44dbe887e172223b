"""Uses that run: kept by a lease that their gateway extends, given back at their end.

Only grants that count bytes or what runs at once have them. A worker that dies leaves its leases
behind; they are over in LEASE_MS, and what they held of `concurrent` is free again. What they had
reserved of `bytes` counts as delivered: nobody can say that it was not.
"""

from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from exchange.access.allowance import CALL_BEGINS_WITH, counter, given_back, used_up
from exchange.access.model import Grant
from exchange.access.store import RUNNING, USE_ENDS, AccessStore
from exchange.clock import now_ms
from exchange.errors import Conflict, Forbidden, Unavailable
from exchange.ledger.write import Delete, Exhausted, Insert, Spend, Stale, Update, Write

LEASE_MS: Final = 30_000
SWEEP: Final = 100
TRIES: Final = 5

_ONE = select(RUNNING).where(RUNNING.c.log_id == bindparam("log"), RUNNING.c.id == bindparam("use"))


def lease(grant: Grant, use_id: str, reserved_bytes: int, now_ms: int) -> dict[str, Any]:
    """Return the row of a use that begins to run."""
    return {
        "log_id": grant.log_id,
        "id": use_id,
        "grant_id": grant.id,
        "allowance": grant.allowance_at(now_ms),
        "reserved_bytes": reserved_bytes,
        "until_ms": now_ms + LEASE_MS,
        "rev": 1,
    }


async def extend_use(store: AccessStore, use_id: str, more_bytes: int) -> None:
    """Say that a use goes on, and reserve what it delivers next.

    Raises Forbidden where the allowance is used up, or the lease is over: the use must stop.
    """
    for _ in range(TRIES):
        row, grant = await _running(store, use_id)
        now = now_ms()
        if row is None or grant is None or row.until_ms <= now:
            raise Forbidden("use_over", "The use was given up, since nobody said that it goes on.")
        key = counter("bytes", grant, now, row.allowance)
        ceiling = grant.obligations.get("bytes")
        update = Update(
            RUNNING,
            use_id,
            row.rev,
            {"until_ms": now + LEASE_MS, "reserved_bytes": row.reserved_bytes + more_bytes},
        )
        spent = [Spend(key, more_bytes, int(ceiling))] if ceiling is not None and more_bytes else []
        try:
            await store.ledger.commit(Write(updates=[update], spends=spent))
        except Stale:
            continue
        except Exhausted as error:
            # A call that holds no more than it began with has sent nothing: that byte is left, too.
            unsent = row.reserved_bytes if row.reserved_bytes == CALL_BEGINS_WITH else 0
            raise used_up(error, grant, now, held_bytes=unsent) from error
        return
    raise Unavailable("busy", "What the use needs could not be recorded.")


async def end_use(store: AccessStore, use_id: str, sent_bytes: int, *, complete: bool) -> None:
    """Note how a use ended, and give back what it held; raises Conflict, Unavailable."""
    end = {
        "log_id": store.ledger.log_id,
        "use_id": use_id,
        "sent_bytes": sent_bytes,
        "complete": complete,
        "at_ms": now_ms(),
    }
    for _ in range(TRIES):
        row, grant = await _running(store, use_id)
        write = Write(inserts=[Insert(USE_ENDS, end)])
        if row is not None and grant is not None:
            unsent = max(row.reserved_bytes - sent_bytes, 0)
            write = _given_back(write, row, grant, unsent)
        try:
            await store.ledger.commit(write)
        except Stale:
            continue
        return
    raise Conflict("changed_meanwhile", "The use kept changing while it ended.")


async def end_lost_uses(store: AccessStore) -> int:
    """Give back what uses held whose lease is over; return how many."""
    query = (
        select(RUNNING)
        .where(RUNNING.c.log_id == store.ledger.log_id, RUNNING.c.until_ms <= now_ms())
        .order_by(RUNNING.c.until_ms)
        .limit(SWEEP)
    )
    ended = 0
    for row in await store.db.read(lambda c: c.execute(query).all()):
        grant = await store.grant(row.grant_id)
        if grant is None:
            continue
        try:
            await store.ledger.commit(_given_back(Write(), row, grant, 0))
        except Stale:
            continue  # another worker was quicker, or it goes on after all
        ended += 1
    return ended


def _given_back(write: Write, row: Row[Any], grant: Grant, unsent_bytes: int) -> Write:
    """Return a write that ends a lease too; a lease that changed meanwhile makes it stale."""
    back = given_back(grant, now_ms(), row.allowance, unsent_bytes=unsent_bytes)
    return replace(
        write,
        reads={**write.reads, (RUNNING, row.id): row.rev},
        deletes=[Delete(RUNNING, {"log_id": row.log_id, "id": row.id})],
        spends=back,  # to the allowance that it spent, though another may have begun since
    )


async def _running(store: AccessStore, use_id: str) -> tuple[Row[Any] | None, Grant | None]:
    wanted = {"log": store.ledger.log_id, "use": use_id}
    row = await store.db.point(lambda c: c.execute(_ONE, wanted).one_or_none())
    return row, await store.grant(row.grant_id) if row is not None else None
