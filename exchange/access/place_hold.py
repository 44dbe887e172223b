"""Place a hold: suspend a grant, an offering or an organisation until it is lifted."""

from dataclasses import dataclass

from exchange.access.holds import (
    By,
    Hold,
    PeoplesReason,
    PlacedBy,
    Target,
    TargetKind,
    check_may_place,
)
from exchange.access.holds_store import HoldsStore
from exchange.access.model import Grant
from exchange.access.record_hold import placing
from exchange.access.request_access import Desk
from exchange.clock import now_ms
from exchange.errors import NotFound
from exchange.formats.receipt import Receipt
from exchange.http import Caller
from exchange.ids import is_id, new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Committed, Met, Write
from exchange.participants.store import acting


@dataclass(frozen=True, slots=True)
class HeldNow:
    """A hold after a verb, with the receipt of the leaf that the verb made, if it made one."""

    hold: Hold
    receipt: Receipt | None


async def place_hold(
    desk: Desk,
    caller: Caller,
    target_id: str,
    reason: PeoplesReason,
    text: str = "",
    idempotency_key: str | None = None,
) -> HeldNow:
    """Suspend what has this id; raises NotFound, Forbidden, Conflict, Unavailable.

    From the commit on nothing is granted or delivered under it; what is on its way is cut.
    """
    by, ledger = by_of(caller), desk.ledger
    hold_id = new_id("hld", ledger.log_id)
    body = ["hold", target_id, reason, text]
    once = idempotency(caller.client_id, idempotency_key, body, hold_id)

    async def build() -> Write:
        target = await read_target(desk, target_id)
        await _seen(desk, caller, target)
        check_may_place(by, target)
        write = placing(ledger, hold_id, target, by, reason, text, now_ms())
        return Write(
            write.events,
            reads=acting(caller),
            inserts=write.inserts,
            updates=write.updates,
            once=once,
        )

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        hold_id = first_outcome(result, body)
    receipt = result.receipts[0] if isinstance(result, Committed) else None
    return HeldNow(await HoldsStore(ledger).hold(hold_id), receipt)


def by_of(caller: Caller) -> By:
    """Return who the caller acts as about holds."""
    side: PlacedBy = "operator" if caller.operates else "platform"
    return By(side, caller.org_id, caller.client_id, caller.member_id)


async def read_target(desk: Desk, target_id: str) -> Target:
    """Return what a hold is or is to be on, read now; raises NotFound."""
    if is_id(target_id, "grt"):
        grant = await desk.store.grant(target_id)
        if grant is None:
            raise unknown_target("grant")
        return target_of(grant)
    if is_id(target_id, "off"):
        offering = await desk.catalog.offering(target_id)
        return Target(
            kind="offering",
            id=offering.id,
            rev=offering.rev,
            holds=offering.holds,
            state=offering.status,
            consumer_id=None,
            provider_id=offering.provider_id,
            offering_id=offering.id,
            request_id=None,
        )
    organisation = await desk.participants.organisation(target_id)
    return Target(
        kind="organisation",
        id=organisation.id,
        rev=organisation.rev,
        holds=organisation.holds,
        state="active",
        consumer_id=organisation.id,
        provider_id=None,
        offering_id=None,
        request_id=None,
    )


def target_of(grant: Grant) -> Target:
    """Return a grant as what a hold is on."""
    return Target(
        kind="grant",
        id=grant.id,
        rev=grant.rev,
        holds=grant.holds,
        state=grant.state(now_ms()),
        consumer_id=grant.consumer_id,
        provider_id=grant.provider_id,
        offering_id=grant.offering_id,
        request_id=grant.request_id,
    )


async def _seen(desk: Desk, caller: Caller, target: Target) -> None:
    """Raise NotFound for what the caller may not know of."""
    if caller.reads(target.consumer_id, target.provider_id):
        return
    if target.kind == "offering":
        offering = await desk.catalog.offering(target.id)
        if offering.is_shown_to(caller.org_id):
            return
    raise unknown_target(target.kind)


def unknown_target(kind: TargetKind) -> NotFound:
    """Return the error for what does not exist or may not be seen, as the other routes say it."""
    return NotFound(f"{kind}_unknown", f"No such {kind}.")
