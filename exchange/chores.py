"""What an exchange does beside answering: follow the log, do what the clock demands, tidy up."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from connectors.resumable import ResumableUploads
from exchange.access.chase_requests import chase_requests
from exchange.access.close_sessions import close_sessions
from exchange.access.forget_rates import forget_rates
from exchange.access.request_access import Desk
from exchange.access.revoke_grant import end_grants
from exchange.access.running import end_lost_uses
from exchange.connections.rotate_master import Resealer
from exchange.ledger.ledger import Ledger
from exchange.participants.end_engagement import end_engagements
from exchange.participants.engagements_store import EngagementsStore

FORGET_SECONDS = 3600.0
log_to = logging.getLogger("exchange")


async def follow_log(
    ledger: Ledger, start: int, caches: Sequence[Callable[[Sequence[str]], None]]
) -> None:
    """Drop cached rows that other workers changed: the log is the only outbox."""
    while True:
        try:
            async for leaves in ledger.follow(start):
                start = leaves[-1].index + 1
                changed = [leaf.subject for leaf in leaves]
                for drop in caches:
                    drop(changed)
        except Exception:  # whatever the database did, a cache must not go stale for ever
            log_to.exception("follower_waits")
            await asyncio.sleep(1)


async def sweep(
    desk: Desk, engagements: EngagementsStore, resealer: Resealer, seconds: float
) -> None:
    """Write the leaves that follow the clock; seal anew what older master keys sealed."""
    while True:
        await asyncio.sleep(seconds)
        try:
            while await _followed(desk) + await end_engagements(engagements):
                pass
            await resealer.run()
        except Exception:  # it must be tried again
            log_to.exception("sweep_failed")


async def forget_uploads(uploads: ResumableUploads) -> None:
    """Drop uploads that nobody goes on with."""
    while True:
        try:
            await uploads.sweep()
        except Exception:  # it must be tried again
            log_to.exception("uploads_not_swept")
        await asyncio.sleep(FORGET_SECONDS)


async def _followed(desk: Desk) -> int:
    """Do some of what the clock demands; return how much."""
    ended = await end_grants(desk.ledger, desk.store)
    ended += await end_lost_uses(desk.store) + await forget_rates(desk.ledger)
    return ended + await close_sessions(desk.ledger) + await chase_requests(desk)
