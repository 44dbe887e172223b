"""Reads of engagements, and of what auditors read. The operator reads all, others their own."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, select

from exchange.clock import now_ms
from exchange.db import Database
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.participants.engagements import Engagement
from exchange.participants.tables import AuditReadRow, EngagementRow

ENGAGEMENTS = EngagementRow.__table__  # type: ignore[attr-defined]
READS = AuditReadRow.__table__  # type: ignore[attr-defined]
_COLUMNS = tuple(ENGAGEMENTS.c[each.name] for each in fields(Engagement))
SWEEP = 200


async def open_engagements(db: Database, auditor_id: str) -> tuple[Engagement, ...]:
    """Return an auditor's engagements that nobody ended; the clock may have."""
    query = select(*_COLUMNS).where(
        ENGAGEMENTS.c.auditor_id == auditor_id, ENGAGEMENTS.c.ended_by.is_(None)
    )
    rows = await db.point(lambda c: c.execute(query.order_by(ENGAGEMENTS.c.id)).all())
    return tuple(Engagement(*row) for row in rows)


class EngagementsStore:
    """Engagements, and the reads under them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.db = ledger, ledger.db

    async def engagement(self, engagement_id: str, caller: Caller) -> Engagement:
        """Return an engagement that the caller may see, read now; raises NotFound."""
        query = _visible(select(*_COLUMNS), ENGAGEMENTS, caller)
        query = query.where(ENGAGEMENTS.c.id == engagement_id)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("engagement_unknown", "No such engagement.")
        return Engagement(*row)

    async def engagements(
        self,
        caller: Caller,
        after: str | None,
        limit: int,
        *,
        auditor_id: str | None = None,
        is_active: bool | None = None,
    ) -> Sequence[Engagement]:
        """Return engagements that the caller may see, newest first."""
        query = _visible(select(*_COLUMNS), ENGAGEMENTS, caller)
        if auditor_id is not None:
            query = query.where(ENGAGEMENTS.c.auditor_id == auditor_id)
        if is_active is not None:
            stands = ENGAGEMENTS.c.ended_by.is_(None) & (ENGAGEMENTS.c.ends_ms > now_ms())
            query = query.where(stands if is_active else ~stands)
        if after is not None:
            query = query.where(ENGAGEMENTS.c.id < after)
        query = query.order_by(ENGAGEMENTS.c.id.desc()).limit(limit)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [Engagement(*row) for row in rows]

    async def past_end(self) -> Sequence[Engagement]:
        """Return engagements that the clock has ended and no leaf says so yet."""
        query = (
            select(*_COLUMNS)
            .where(ENGAGEMENTS.c.ended_by.is_(None), ENGAGEMENTS.c.ends_ms <= now_ms())
            .order_by(ENGAGEMENTS.c.ends_ms)
            .limit(SWEEP)
        )
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [Engagement(*row) for row in rows]

    async def reads(
        self,
        caller: Caller,
        after: str | None,
        limit: int,
        *,
        auditor_id: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
    ) -> Sequence[Row[Any]]:
        """Return what auditors read, as far as the caller may see, newest first."""
        query = _visible(select(READS), READS, caller).where(READS.c.log_id == self.ledger.log_id)
        if auditor_id is not None:
            query = query.where(READS.c.auditor_id == auditor_id)
        if since_ms is not None:
            query = query.where(READS.c.at_ms >= since_ms)
        if until_ms is not None:
            query = query.where(READS.c.at_ms < until_ms)
        if after is not None:
            query = query.where(READS.c.id < after)
        query = query.order_by(READS.c.id.desc()).limit(limit)
        return await self.db.read(lambda c: c.execute(query).all())


def _visible(query: Any, table: Any, caller: Caller) -> Any:
    if caller.may("operator") and caller.reads_all:
        return query
    return query.where(table.c.auditor_id == caller.org_id)
