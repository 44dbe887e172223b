"""What the clock does to requests that nobody acts on: a reminder half-way, a lapse at the end."""

from exchange.access.acts import NEVER_MS, settled
from exchange.access.keys import refused_once, waits_under
from exchange.access.model import Answer
from exchange.access.record_step import moved, record_step
from exchange.access.request_access import Desk
from exchange.access.store import REQUESTS
from exchange.clock import now_ms
from exchange.ledger.write import Stale, Update, Write

SWEEP = 100


async def chase_requests(desk: Desk) -> int:
    """Remind of requests and let them lapse, a leaf each; return how many."""
    now = now_ms()
    done = 0
    for held in await desk.store.due("until_ms", now, SWEEP):
        done += await _commit(desk, _lapse(desk, held, now))
    for held in await desk.store.due("remind_ms", now, SWEEP):
        done += await _commit(desk, _remind(desk, held, now))
    return done


def _lapse(desk: Desk, held: Answer, now: int) -> Write:
    more = {"waited_for": held.waits_for}
    event, row = record_step(desk.ledger, held, "lapsed", None, "", now, more)
    update = moved(held, settled("lapsed", now))
    return Write(
        [event],
        inserts=[row],
        updates=[update],
        forgets=[waits_under(held)],
        replaces=refused_once(held, now),
    )


def _remind(desk: Desk, held: Answer, now: int) -> Write:
    update = Update(REQUESTS, held.request_id, held.rev, {"remind_ms": NEVER_MS})
    if held.until_ms <= now:  # it lapses instead
        return Write(updates=[update])
    more = {"waits_for": held.waits_for, "until_ms": held.until_ms}
    event, row = record_step(desk.ledger, held, "reminded", None, "", now, more)
    return Write([event], inserts=[row], updates=[update])


async def _commit(desk: Desk, write: Write) -> int:
    try:
        await desk.ledger.commit(write)
    except Stale:
        return 0  # somebody acted, or another worker was quicker
    return 1
