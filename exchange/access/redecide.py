"""Follow the log, and decide anew the grants that a change touches.

    leaf                 touches
    attribute.set        what the organisation holds as consumer: of a provider the policy is told
                         no attributes
    policy.activated     every grant

What the policy would refuse now is held by the rule, what it would permit again is not any more;
see redecide_grant.py. Left out:
- what the clock changes (the age of evidence, the policy's `now`): each token asks the policy;
- an offering's new version: a grant keeps the version that was granted, and what is withdrawn goes
  on;
- holds, disabled clients, removed people: they stop a grant, or not, whatever the policy says;
- the rule's hold that the operator lifted: it stays lifted until the next change.
Roles are set once, when an organisation is registered. A leaf for what changes them belongs above.

Every worker follows. The place moves after the grants are decided, and only under the policies in
force; deciding twice changes nothing, so a restart may. A pass over every grant keeps how far it
came. Where a grant gets no trustworthy answer the others go on, and the place waits for it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from exchange.access.holds_store import HoldsStore
from exchange.access.model import Grant
from exchange.access.redecide_grant import Change, ReadOnce, redecide, redecide_alone
from exchange.access.request_access import Desk
from exchange.access.store import GRANTS
from exchange.errors import ExchangeError, Unavailable
from exchange.ledger.follow import Place, moved, read_place
from exchange.ledger.ledger import ENTRIES, FOLLOW_POLL_SECONDS, LOG
from exchange.ledger.write import Stale, Write
from exchange.policy.activate import ACTIVE, STATE

FOLLOWER = "redecide_1"
CURSOR = "redecide_1_pass"  # the status index of the last grant that a pass over all has done
EVERY = "exchange.policy.activated.v1"
KINDS = ("exchange.attribute.set.v1", EVERY)
PAGE = 50
WINDOW = 2_000
STRIDE = 1_000  # entries that touch nothing, passed over before the place says so
LEAVES = 200
LONGEST_WAIT_SECONDS = 60
log_to = logging.getLogger("exchange.access")


class Waits(Exception):
    """Some grants could not be decided; the follower stays and tries again."""


@dataclass(frozen=True, slots=True)
class _Look:
    place: Place | None
    cursor: Place | None
    policy_rev: int
    looked: int
    leaves: Sequence[tuple[int, str, str]]  # index, type, subject


@dataclass(slots=True)
class Tally:
    """What a pass came to."""

    looked: int = 0
    placed: int = 0
    lifted: int = 0
    failed: list[str] = field(default_factory=list)
    error: Exception | None = None  # of the first that failed

    def note(self, change: Change) -> None:
        """Count one grant."""
        self.placed += change == "placed"
        self.lifted += change == "lifted"

    def fail(self, grant: Grant, error: Exception) -> None:
        """Count one grant that could not be decided."""
        self.failed.append(grant.id)
        self.error = self.error or error


class Redecider:
    """One worker's part in following."""

    def __init__(self, desk: Desk, page: int = PAGE) -> None:
        self._desk, self._ledger, self._page = desk, desk.ledger, page
        self._holds = HoldsStore(desk.ledger)
        self._in_force = {(STATE, ACTIVE): desk.policy.rev}
        self._looked = 0

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong is logged and tried again, ever more slowly."""
        tries = 0
        while True:
            try:
                if not await self.step():
                    await asyncio.sleep(FOLLOW_POLL_SECONDS)
                tries = 0
            except Exception:
                log_to.exception("redecide_waits")
                await asyncio.sleep(min(2**tries, LONGEST_WAIT_SECONDS))
                tries = min(tries + 1, 10)

    async def step(self) -> int:
        """Look for the next change and decide what it touches; return how far that led.

        Raises Waits, Unavailable. Another worker may be quicker, or have other policies: then 0.
        """
        look = await self._ledger.db.read(self._look)
        if look.policy_rev != self._desk.policy.rev:
            return 0  # the workers that have the policies in force go on
        start = look.place.next_index if look.place is not None else 0
        tally = Tally()
        after = look.leaves[-1][0] + 1 if look.leaves else look.looked
        try:
            cursor = await self._decide(look, tally)
            if tally.looked or after - start >= STRIDE:
                await self._advance(look.place, cursor, after)
        except Stale:  # another worker was quicker; what this one did is said all the same
            return 0
        finally:
            if tally.looked and not tally.failed:
                log_to.info("grants_redecided", extra=_said(tally, after - 1))
        led = after - max(start, self._looked)
        self._looked = after
        return led

    def _look(self, connection: Connection) -> _Look:
        log_id = self._ledger.log_id
        place, cursor = (read_place(connection, log_id, name) for name in (FOLLOWER, CURSOR))
        rev = connection.execute(select(STATE.c.rev).where(STATE.c.id == ACTIVE)).scalar_one()
        size = connection.execute(select(LOG.c.size).where(LOG.c.log_id == log_id)).scalar_one()
        start = max(place.next_index if place is not None else 0, self._looked)
        end = max(start, min(start + WINDOW, size))
        query = (
            select(ENTRIES.c.leaf_index, ENTRIES.c.type, ENTRIES.c.subject)
            .where(
                ENTRIES.c.log_id == log_id,
                ENTRIES.c.leaf_index >= start,
                ENTRIES.c.leaf_index < end,
                ENTRIES.c.type.in_(KINDS),
            )
            .order_by(ENTRIES.c.leaf_index)
            .limit(LEAVES)
        )
        leaves: list[tuple[int, str, str]] = []
        for index, kind, subject in connection.execute(query) if end > start else ():
            leaves.append((index, kind, subject))
            if kind == EVERY:  # a pass of its own, that goes on where it was
                break
        return _Look(place, cursor, rev, end, leaves)

    async def _decide(self, look: _Look, tally: Tally) -> Place | None:
        """Decide what the leaves touch; return how far a pass over all came."""
        cursor = look.cursor
        if look.leaves and look.leaves[-1][1] == EVERY:
            cursor = await self._pass(None, cursor, tally)
        else:
            for org_id in sorted({subject for _, _, subject in look.leaves}):
                await self._pass(org_id, None, tally)
        if tally.failed:
            log_to.error("grants_not_redecided", extra=_said(tally, look.leaves[-1][0]))
            raise Waits(f"{len(tally.failed)} grants, the first {tally.failed[0]}") from tally.error
        return cursor

    async def _pass(
        self, consumer_id: str | None, cursor: Place | None, tally: Tally
    ) -> Place | None:
        after, rows = await self._resume(cursor), ReadOnce(self._desk)
        while True:
            began = time.monotonic()
            grants = await self._desk.store.standing(after, self._page, consumer_id=consumer_id)
            if not grants:
                return cursor
            failed = len(tally.failed)
            await self._decide_page(grants, rows, tally)
            if len(tally.failed) - failed == len(grants):  # it is not about one of them
                raise Waits("no grant of a page could be decided") from tally.error
            after = grants[-1].id
            if consumer_id is None and not tally.failed:
                cursor = await self._keep(cursor, grants[-1].leaf_index)
            await asyncio.sleep(time.monotonic() - began)  # half of the time is for others

    async def _resume(self, cursor: Place | None) -> str:
        if cursor is None or not cursor.next_index:
            return ""
        query = select(GRANTS.c.id).where(
            GRANTS.c.log_id == self._ledger.log_id, GRANTS.c.leaf_index == cursor.next_index
        )
        return await self._ledger.db.read(lambda c: str(c.execute(query).scalar_one()))

    async def _decide_page(self, grants: Sequence[Grant], rows: ReadOnce, tally: Tally) -> None:
        held = await self._holds.by_rule([grant.id for grant in grants if grant.holds])
        writes: list[tuple[Grant, Change, Write]] = []
        for grant in grants:
            tally.looked += 1
            try:
                around = await rows.around(grant)
                change, write = await redecide(self._desk, grant, around, held.get(grant.id))
            except ExchangeError as error:
                tally.fail(grant, error)
                continue
            if change != "kept":
                writes.append((grant, change, write))
            await asyncio.sleep(0)  # an embedded policy engine runs on this very loop
        commits = [self._commit(grant, change, write) for grant, change, write in writes]
        for (grant, _, _), done in zip(writes, await asyncio.gather(*commits), strict=True):
            if isinstance(done, Exception):
                tally.fail(grant, done)
            else:
                tally.note(done)

    async def _commit(self, grant: Grant, change: Change, write: Write) -> Change | ExchangeError:
        try:
            await self._ledger.commit(write)
        except Unavailable as error:
            return error
        except Stale:
            try:
                return await redecide_alone(self._desk, grant.id)
            except ExchangeError as error:
                return error
        return change

    async def _keep(self, cursor: Place | None, leaf_index: int) -> Place:
        """Keep how far a pass over all came; raises Stale where another worker does it."""
        write = Write(reads=self._in_force)
        await self._ledger.commit(moved(write, self._ledger.log_id, CURSOR, cursor, leaf_index))
        return Place(leaf_index, cursor.rev + 1 if cursor is not None else 1)

    async def _advance(self, place: Place | None, cursor: Place | None, after: int) -> None:
        log_id = self._ledger.log_id
        write = moved(Write(reads=self._in_force), log_id, FOLLOWER, place, after)
        if cursor is not None and cursor.next_index:
            write = moved(write, log_id, CURSOR, cursor, 0)
        await self._ledger.commit(write)


def _said(tally: Tally, leaf_index: int) -> dict[str, object]:
    return {
        "leaf_index": leaf_index,
        "looked": tally.looked,
        "placed": tally.placed,
        "lifted": tally.lifted,
        "failed": len(tally.failed),
    }
