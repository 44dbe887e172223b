"""Lift a hold: whoever placed it, or the operator. While others are open, its target stays held."""

from exchange.access.holds import check_may_lift
from exchange.access.holds_store import HoldsStore
from exchange.access.place_hold import HeldNow, by_of, read_target
from exchange.access.record_hold import lifting
from exchange.access.request_access import Desk
from exchange.clock import now_ms
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.write import Committed, Write
from exchange.participants.store import acting


async def lift_hold(desk: Desk, caller: Caller, hold_id: str, text: str = "") -> HeldNow:
    """Lift a hold; one that is lifted already stays as it is, and that is no second leaf.

    Raises NotFound, Forbidden, Unavailable.
    """
    by, ledger, store = by_of(caller), desk.ledger, HoldsStore(desk.ledger)

    async def build() -> Write:
        hold = await store.hold_for(hold_id, caller)
        check_may_lift(by, hold)
        if not hold.is_open:
            return Write(reads=acting(caller))
        target = await read_target(desk, hold.target_id)
        write = lifting(ledger, hold, target, by, text, now_ms())
        return Write(write.events, reads=acting(caller), updates=write.updates)

    write, result = await commit_fresh(ledger, build)
    made = isinstance(result, Committed) and write.events
    receipt = result.receipts[0] if isinstance(result, Committed) and made else None
    return HeldNow(await store.hold(hold_id), receipt)
