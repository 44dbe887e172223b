"""Decide a grant anew, after what it rests on has changed: place a rule's hold, or lift it.

What the policy would refuse today is held, whatever other holds are open; what it would permit
again loses the rule's own hold and no other. Each decision reads past all caches, and the write
names the rev of whatever it saw, so a grant has one such hold at most, however many workers decide.
"""

from dataclasses import replace
from typing import Literal

from exchange.access.authorize_grant import input_of
from exchange.access.holds import RULE, Hold
from exchange.access.holds_store import HoldsStore
from exchange.access.model import Grant
from exchange.access.parties import Around
from exchange.access.place_hold import target_of
from exchange.access.record_hold import Ground, lifting, placing
from exchange.access.request_access import Desk, decide
from exchange.catalog.model import Offering
from exchange.clock import now_ms
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.write import Write
from exchange.participants.model import Organisation
from exchange.policy.activate import ACTIVE, STATE

Change = Literal["placed", "lifted", "kept"]
OVER = ("revoked", "ended")
MOST_ROWS = 2_000


class ReadOnce:
    """What several grants stand on, each row read once, past all caches.

    That is late enough: what changes afterwards has a leaf of its own, still to come.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._organisations: dict[str, Organisation] = {}
        self._offerings: dict[str, Offering] = {}

    async def around(self, grant: Grant) -> Around:
        """Return what a grant stands on beside itself."""
        if len(self._organisations) + len(self._offerings) > MOST_ROWS:
            self._organisations.clear()
            self._offerings.clear()
        consumer = await self._organisation(grant.consumer_id)
        provider = await self._organisation(grant.provider_id)
        if grant.offering_id not in self._offerings:
            found = await self._desk.catalog.offering(grant.offering_id)
            self._offerings[grant.offering_id] = found
        return Around(consumer, provider, self._offerings[grant.offering_id])

    async def _organisation(self, org_id: str) -> Organisation:
        if org_id not in self._organisations:
            self._organisations[org_id] = await self._desk.participants.organisation(org_id)
        return self._organisations[org_id]


async def redecide(
    desk: Desk, grant: Grant, around: Around, held: Hold | None
) -> tuple[Change, Write]:
    """Decide a grant as read, with the rule's open hold on it; return what is to be written.

    Raises Unavailable where the policy gives no trustworthy answer: everything stays as it is.
    """
    now = now_ms()
    document = await input_of(desk, grant, around, now)
    decision = await decide(desk.policy, document)
    permits = decision.outcome == "permit"
    if permits == (held is None):
        return "kept", Write()
    ground, target, ledger = Ground(document, decision), target_of(grant), desk.ledger
    if held is not None:
        change: Change = "lifted"
        write = lifting(ledger, held, target, RULE, "", now, ground)
    else:
        change, hold_id = "placed", new_id("hld", ledger.log_id)
        write = placing(ledger, hold_id, target, RULE, "policy_would_refuse", "", now, ground)
    # The target's rev stands in the write's updates already.
    return change, replace(write, reads={**around.reads(), (STATE, ACTIVE): desk.policy.rev})


async def redecide_alone(desk: Desk, grant_id: str) -> Change:
    """Decide one grant from reads of its own, as often as it is stale; raises Unavailable."""
    change: Change = "kept"

    async def build() -> Write:
        nonlocal change
        change = "kept"
        grant = await desk.store.grant(grant_id)
        if grant is None or grant.state(now_ms()) in OVER:
            return Write()
        held = await HoldsStore(desk.ledger).by_rule([grant.id])
        around = await ReadOnce(desk).around(grant)
        change, write = await redecide(desk, grant, around, held.get(grant.id))
        return write

    await commit_fresh(desk.ledger, build)
    return change
