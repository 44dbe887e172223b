"""Reads of requests, decisions, grants and deliveries. One place scopes them by party."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Table, or_, select

from exchange.access.model import Answer, Ask, Grant, Said
from exchange.access.tables import DecisionRow, GrantRow, RequestRow, SessionRow, UseEndRow, UseRow
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.ledger.commit import ONCE
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met

REQUESTS = RequestRow.__table__  # type: ignore[attr-defined]
DECISIONS = DecisionRow.__table__  # type: ignore[attr-defined]
GRANTS = GrantRow.__table__  # type: ignore[attr-defined]
SESSIONS = SessionRow.__table__  # type: ignore[attr-defined]
USES = UseRow.__table__  # type: ignore[attr-defined]
USE_ENDS = UseEndRow.__table__  # type: ignore[attr-defined]

_GRANT = list(GRANTS.c)


def visible(query: Any, table: Table, caller: Caller) -> Any:
    """Narrow a query to rows whose consumer or provider the caller may read about."""
    if caller.sight is None:
        return query
    if not caller.sight:  # nearly everybody: their own organisation's
        own = caller.org_id
        return query.where(or_(table.c.consumer_id == own, table.c.provider_id == own))
    ids = [caller.org_id, *caller.sight]
    return query.where(or_(table.c.consumer_id.in_(ids), table.c.provider_id.in_(ids)))


class AccessStore:
    """Rows of one log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.db = ledger.db

    async def met(self, keys: Sequence[str], now_ms: int) -> Met | None:
        """Return the first of these once keys that was met and has not expired."""
        query = select(ONCE.c.key, ONCE.c.outcome).where(
            ONCE.c.key.in_(keys), ONCE.c.expires_ms > now_ms
        )
        rows = await self.db.point(lambda c: c.execute(query).all())
        outcomes: dict[str, Any] = dict(rows)
        return next((Met(key, outcomes[key]) for key in keys if key in outcomes), None)

    async def grant(self, grant_id: str) -> Grant | None:
        """Return a grant, read now."""
        query = select(*_GRANT).where(
            GRANTS.c.log_id == self.ledger.log_id, GRANTS.c.id == grant_id
        )
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        return _grant(row) if row is not None else None

    async def grant_for(self, grant_id: str, caller: Caller) -> Grant:
        """Return a grant that the caller is a party of; raises NotFound."""
        query = select(*_GRANT).where(
            GRANTS.c.log_id == self.ledger.log_id, GRANTS.c.id == grant_id
        )
        query = visible(query, GRANTS, caller)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("grant_unknown", "No such grant.")
        return _grant(row)

    async def grants(self, caller: Caller, after: str | None, limit: int) -> Sequence[Grant]:
        """Return the caller's grants, newest first."""
        rows = await self._page(select(*_GRANT), GRANTS, caller, after, limit)
        return [_grant(row) for row in rows]

    async def answers(self, caller: Caller, after: str | None, limit: int) -> Sequence[Answer]:
        """Return the caller's requests with what became of them, newest first."""
        rows = await self._page(_answer_query(), REQUESTS, caller, after, limit)
        return [_answer(row) for row in rows]

    async def answer(self, request_id: str, caller: Caller) -> Answer:
        """Return a request that the caller is a party of, with its receipt; raises NotFound."""
        query = _answer_query().where(
            REQUESTS.c.log_id == self.ledger.log_id, REQUESTS.c.id == request_id
        )
        query = visible(query, REQUESTS, caller)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("request_unknown", "No such access request.")
        answer = _answer(row)
        found = await self.ledger.receipt(answer.event_id)
        return replace(answer, receipt=found[1] if found else None)

    async def _page(
        self, query: Any, table: Table, caller: Caller, after: str | None, limit: int
    ) -> Sequence[Row[Any]]:
        query = visible(query.where(table.c.log_id == self.ledger.log_id), table, caller)
        if after is not None:
            query = query.where(table.c.id < after)
        query = query.order_by(table.c.id.desc()).limit(limit)

        def run(connection: Connection) -> Sequence[Row[Any]]:
            return connection.execute(query).all()

        return await self.db.read(run)


def _answer_query() -> Any:
    grant = [c.label(f"of_grant_{c.name}") for c in _GRANT]
    decision = ("outcome", "reasons", "remedies", "policy_digest", "event_id")
    return (
        select(
            REQUESTS,
            *[DECISIONS.c[name] for name in decision],
            *grant,
        )
        .join(
            DECISIONS,
            (DECISIONS.c.log_id == REQUESTS.c.log_id) & (DECISIONS.c.id == REQUESTS.c.decision_id),
        )
        .outerjoin(
            GRANTS, (GRANTS.c.log_id == REQUESTS.c.log_id) & (GRANTS.c.id == REQUESTS.c.grant_id)
        )
    )


def _grant(row: Row[Any]) -> Grant:
    return Grant(**row._asdict())


def _answer(row: Row[Any]) -> Answer:
    values = row._asdict()
    grant = None
    if values["of_grant_id"] is not None:
        grant = Grant(**{c.name: values[f"of_grant_{c.name}"] for c in _GRANT})
    return Answer(
        request_id=row.id,
        decision_id=row.decision_id,
        status=row.status,
        consumer_id=row.consumer_id,
        provider_id=row.provider_id,
        client_id=row.client_id,
        ask=Ask(row.offering_id, row.purpose, tuple(row.actions), row.days),
        offering_version=row.offering_version,
        reasons=[Said(**said) for said in row.reasons],
        remedies=[Said(**said) for said in row.remedies],
        policy_digest=row.policy_digest,
        event_id=row.event_id,
        created_ms=row.created_ms,
        grant=grant,
        receipt=None,
    )
