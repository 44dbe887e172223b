"""Changing one row by its rev: read it now, build the write, try again when someone was quicker."""

from collections.abc import Awaitable, Callable

from exchange.errors import Unavailable
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Committed, Met, Stale, Write

TRIES = 3


async def commit_fresh(
    ledger: Ledger, build: Callable[[], Awaitable[Write]]
) -> tuple[Write, Committed | Met]:
    """Build and commit a write, building it anew from fresh reads while it is stale.

    Raises Unavailable after three stale tries (architecture: no stale yes).
    """
    for _ in range(TRIES):
        write = await build()
        try:
            return write, await ledger.commit(write)
        except Stale:
            continue
    raise Unavailable(
        "busy", "Others changed the same thing at the same time.", hint="Try again in a moment."
    )
