"""Record what an auditor reads of others' affairs, before it is answered.

A row for each request, whatever its kind, so that nobody has to guess what was read: of the log's
bundles too, of which one holds 256 entries, so a walk of a million entries is 4,000 short rows. A
leaf for the first of a client and kind, and then one in 15 minutes at most: the log is not to fill
up with the reading of it.
"""

from collections.abc import Callable

from exchange.asked import Asked
from exchange.clock import now_ms
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert, Met, Once, Stale, Write
from exchange.participants.engagements_store import ENGAGEMENTS, READS
from exchange.participants.store import Participants, acting

LEAF_EVERY_MS = 15 * 60_000


class ReadRecorder:
    """The app's `record_read`."""

    def __init__(
        self,
        ledger: Ledger,
        participants: Participants,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._ledger, self._participants, self._clock = ledger, participants, clock
        self._leaf_until: dict[tuple[str, str], int] = {}  # by client and kind, of this worker

    async def __call__(self, caller: Caller, asked: Asked) -> bool:
        """Return whether it is recorded; False: the caller is to be read anew, it has changed.

        The engagements that let it see are rechecked under the log's lock, so none that was ended
        shows anything more, on whichever worker. Raises Unavailable.
        """
        now = self._clock()
        kind = (caller.client_id, asked.kind)
        try:
            if self._leaf_until.get(kind, 0) <= now:
                once = Once(f"audit.read:{kind[0]}:{kind[1]}", now + LEAF_EVERY_MS)
                result = await self._ledger.commit(self._write(caller, asked, now, once))
                self._leaf_until = {k: t for k, t in self._leaf_until.items() if t > now}
                if not isinstance(result, Met):
                    self._leaf_until[kind] = once.expires_ms
                    return True
            await self._ledger.commit(self._write(caller, asked, now, None))
        except Stale:
            self._participants.drop([caller.org_id, caller.client_id, caller.member_id or ""])
            return False
        return True

    def _write(self, caller: Caller, asked: Asked, now: int, once: Once | None) -> Write:
        read_id = new_id("rea", self._ledger.log_id)
        engagements = [engagement_id for engagement_id, _ in caller.engagements]
        event = self._leaf(read_id, caller, asked.kind, engagements) if once else None
        row = {
            "log_id": self._ledger.log_id,
            "id": read_id,
            "at_ms": now,
            "auditor_id": caller.org_id,
            "client_id": caller.client_id,
            "member_id": caller.member_id,
            "engagements": engagements,
            "kind": asked.kind,
            "filters": dict(asked.filters),
            "event_id": event.id if event else None,
        }
        return Write(
            [event] if event else [],
            reads={
                **{(ENGAGEMENTS, id_): rev for id_, rev in caller.engagements},
                **acting(caller),
            },
            inserts=[Insert(READS, row)],
            once=[once] if once else [],
        )

    def _leaf(self, read_id: str, caller: Caller, kind: str, engagements: list[str]) -> Event:
        return self._ledger.event(
            "audit.read.v1",
            read_id,
            {
                "read_id": read_id,
                "auditor_id": caller.org_id,
                "client_id": caller.client_id,
                "member_id": caller.member_id,
                "engagements": engagements,
                "kind": kind,
            },
            consumer_id=caller.org_id,
        )
