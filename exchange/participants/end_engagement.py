"""End an engagement, or write the leaf of one that the clock has ended."""

from exchange.clock import now_ms
from exchange.formats.receipt import Receipt
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.write import Committed, Event, Stale, Update, Write
from exchange.participants.engagements import EndedBy, Engagement, check_may_end
from exchange.participants.engagements_store import ENGAGEMENTS, EngagementsStore
from exchange.participants.store import acting


async def end_engagement(
    store: EngagementsStore, caller: Caller, engagement_id: str
) -> tuple[Engagement, Receipt | None]:
    """End an engagement, as operator or as the auditor that gives it up; for good.

    From the commit on no read rests on it, on any worker. Ending again changes nothing.
    """

    async def build() -> Write:
        held = await store.engagement(engagement_id, caller)
        stands = caller.stands_as("owner", "auditor")
        by = check_may_end(held, caller.org_id, operates=caller.operates, stands=stands)
        if held.ended(now_ms()) is not None:
            return Write(reads={(ENGAGEMENTS, held.id): held.rev})
        event, update = _ending(store, held, by, now_ms(), caller.client_id)
        return Write([event], reads=acting(caller), updates=[update])

    write, result = await commit_fresh(store.ledger, build)
    ended = isinstance(result, Committed) and write.events
    receipt = result.receipts[0] if ended and isinstance(result, Committed) else None
    return await store.engagement(engagement_id, caller), receipt


async def end_engagements(store: EngagementsStore) -> int:
    """Write the leaf of engagements that the clock has ended; return how many."""
    ended = 0
    for held in await store.past_end():
        event, update = _ending(store, held, "clock", held.ends_ms, None)
        try:
            await store.ledger.commit(Write([event], updates=[update]))
            ended += 1
        except Stale:
            continue  # another worker was quicker, or somebody ended it at the last moment
    return ended


def _ending(
    store: EngagementsStore, held: Engagement, by: EndedBy, at_ms: int, client_id: str | None
) -> tuple[Event, Update]:
    event = store.ledger.event(
        "engagement.ended.v1",
        held.auditor_id,
        {
            "engagement_id": held.id,
            "auditor_id": held.auditor_id,
            "ended_by": by,
            "ended_ms": at_ms,
            "by": client_id,
        },
        consumer_id=held.auditor_id,
    )
    changed = {"ended_by": by, "ended_ms": at_ms, "end_event_id": event.id}
    return event, Update(ENGAGEMENTS, held.id, held.rev, changed)
