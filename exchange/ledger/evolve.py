"""Changing one row by its rev: read it now, build the write, try again when someone was quicker."""

from collections.abc import Awaitable, Callable, Sequence

from exchange.clock import now_ms
from exchange.errors import ExchangeError, Unavailable
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Committed, Met, Once, Stale, Write

TRIES = 3


async def commit_fresh(
    ledger: Ledger, build: Callable[[], Awaitable[Write]], once: Sequence[Once] = ()
) -> tuple[Write, Committed | Met]:
    """Build and commit a write, building it anew from fresh reads while it is stale.

    What cannot be built is refused, unless `once`, the write's idempotency key, was met: what was
    done with it is answered alike, whatever has become of it. It is looked up after the refusal,
    so that nobody with the same key comes in between.

    Raises Unavailable after three stale tries (architecture: no stale yes).
    """
    for _ in range(TRIES):
        try:
            write = await build()
        except ExchangeError:
            known = await ledger.met([each.key for each in once], now_ms())
            if known is None:
                raise
            return Write(), known
        try:
            return write, await ledger.commit(write)
        except Stale:
            continue
    raise Unavailable(
        "busy", "Others changed the same thing at the same time.", hint="Try again in a moment."
    )
