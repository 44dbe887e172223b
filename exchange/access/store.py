"""Reads of requests, decisions, grants and deliveries. One place scopes them by party."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Table, bindparam, func, literal_column, or_, select
from sqlalchemy.sql.expression import ColumnElement

from exchange.access.acts import MAX_STEPS
from exchange.access.model import Answer, Ask, Grant, GrantStatus, Said
from exchange.access.tables import (
    DecisionRow,
    GrantRow,
    HoldRow,
    RequestRow,
    RevocationRow,
    RunningUseRow,
    SessionRow,
    StepRow,
    UseEndRow,
    UseRow,
)
from exchange.cache import RowCache
from exchange.catalog.store import OFFERINGS
from exchange.clock import now_ms
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met
from exchange.participants.store import ORGANISATIONS

REQUESTS = RequestRow.__table__  # type: ignore[attr-defined]
STEPS = StepRow.__table__  # type: ignore[attr-defined]
DECISIONS = DecisionRow.__table__  # type: ignore[attr-defined]
GRANTS = GrantRow.__table__  # type: ignore[attr-defined]
HOLDS = HoldRow.__table__  # type: ignore[attr-defined]
REVOCATIONS = RevocationRow.__table__  # type: ignore[attr-defined]
SESSIONS = SessionRow.__table__  # type: ignore[attr-defined]
USES = UseRow.__table__  # type: ignore[attr-defined]
RUNNING = RunningUseRow.__table__  # type: ignore[attr-defined]
USE_ENDS = UseEndRow.__table__  # type: ignore[attr-defined]


def _holds_on(table: Table, name: Any) -> Any:
    return select(table.c.holds).where(table.c.id == name).scalar_subquery()


HOLDS_AROUND: ColumnElement[int] = (
    _holds_on(OFFERINGS, GRANTS.c.offering_id)
    + _holds_on(ORGANISATIONS, GRANTS.c.consumer_id)
    + _holds_on(ORGANISATIONS.alias(), GRANTS.c.provider_id)
)
_GRANT = [*GRANTS.c, HOLDS_AROUND.label("holds_around")]
# Read several times a delivery: building it anew cost more than the database's answer.
_ONE_GRANT = select(*_GRANT).where(
    GRANTS.c.log_id == bindparam("log"), GRANTS.c.id == bindparam("grant")
)


def visible(query: Any, table: Table, caller: Caller) -> Any:
    """Narrow a query to rows whose consumer or provider the caller may read about."""
    ids = caller.in_sight
    if ids is None:
        return query
    if not caller.sight:  # nearly everybody: their own organisation's
        own = caller.org_id
        return query.where(or_(table.c.consumer_id == own, table.c.provider_id == own))
    return query.where(or_(table.c.consumer_id.in_(ids), table.c.provider_id.in_(ids)))


class AccessStore:
    """Rows of one log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.db = ledger.db
        # As the other rows in memory: for decisions that are rechecked in a commit.
        self.grants_kept: RowCache[Grant] = RowCache(self.grant)

    async def met(self, keys: Sequence[str], now_ms: int) -> Met | None:
        """Return the first of these once keys that was met and has not expired."""
        return await self.ledger.met(keys, now_ms)

    async def grant(self, grant_id: str) -> Grant | None:
        """Return a grant, read now."""
        wanted = {"log": self.ledger.log_id, "grant": grant_id}
        row = await self.db.point(lambda c: c.execute(_ONE_GRANT, wanted).one_or_none())
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

    async def grants(
        self,
        caller: Caller,
        after: str | None,
        limit: int,
        *,
        offering_id: str | None = None,
        status: GrantStatus | None = None,
    ) -> Sequence[Grant]:
        """Return the caller's grants, newest first."""
        query = select(*_GRANT)
        if offering_id is not None:
            query = query.where(GRANTS.c.offering_id == offering_id)
        if status is not None:
            query = query.where(_in_state(status, now_ms()))
        rows = await self._page(query, GRANTS, caller, after, limit)
        return [_grant(row) for row in rows]

    async def standing(
        self, after: str, limit: int, *, consumer_id: str | None = None
    ) -> Sequence[Grant]:
        """Return grants that neither ended nor were revoked, suspended ones too, oldest first."""
        query = select(*_GRANT).where(
            GRANTS.c.log_id == self.ledger.log_id,
            GRANTS.c.id > after,
            GRANTS.c.status == "active",
            GRANTS.c.ends_ms > now_ms(),
        )
        if consumer_id is not None:
            query = query.where(GRANTS.c.consumer_id == consumer_id)
        query = query.order_by(GRANTS.c.id).limit(limit)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_grant(row) for row in rows]

    async def answers(
        self, caller: Caller, after: str | None, limit: int, **only: str | None
    ) -> Sequence[Answer]:
        """Return the caller's requests with what became of them, newest first.

        `only` narrows by columns: status, waits_for, offering_id.
        """
        query = _answer_query()
        for name, value in only.items():
            if value is not None:
                query = query.where(REQUESTS.c[name] == value)
        rows = await self._page(query, REQUESTS, caller, after, limit)
        return [_answer(row) for row in rows]

    async def answer(self, request_id: str, caller: Caller) -> Answer:
        """Return a request that the caller is a party of, with its receipt; raises NotFound."""
        return await self.with_receipt(await self.held(request_id, caller))

    async def with_receipt(self, answer: Answer) -> Answer:
        """Return an answer with the receipt of its leaf."""
        found = await self.ledger.receipt(answer.event_id)
        return replace(answer, receipt=found[1] if found else None)

    async def due(self, column: str, now_ms: int, limit: int) -> Sequence[Answer]:
        """Return waiting requests whose `until_ms` or `remind_ms` is past, longest past first."""
        query = (
            _answer_query()
            .where(
                REQUESTS.c.log_id == self.ledger.log_id,
                REQUESTS.c[column] <= now_ms,
                # A literal, as in the index: a plan for a parameter could not use it.
                REQUESTS.c.status == literal_column("'pending_approval'"),
            )
            .order_by(REQUESTS.c[column])
            .limit(limit)
        )
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_answer(row) for row in rows]

    async def steps(
        self, request_id: str, after: str | None = None, limit: int = 10 * MAX_STEPS
    ) -> Sequence[Row[Any]]:
        """Return what was done about a request, in order."""
        query = (
            select(STEPS)
            .where(STEPS.c.log_id == self.ledger.log_id, STEPS.c.request_id == request_id)
            .order_by(STEPS.c.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(STEPS.c.id > after)
        return await self.db.read(lambda c: c.execute(query).all())

    async def count_steps(self, request_id: str, org_id: str, *, comments: bool) -> int:
        """Return how many steps of a request an organisation took: comments, or all others."""
        query = select(func.count()).where(
            STEPS.c.log_id == self.ledger.log_id,
            STEPS.c.request_id == request_id,
            STEPS.c.by_org == org_id,
            STEPS.c.kind == "commented" if comments else STEPS.c.kind != "commented",
        )
        return await self.db.point(lambda c: int(c.execute(query).scalar_one()))

    async def held(self, request_id: str, caller: Caller) -> Answer:
        """Return a request that the caller is a party of, read now; raises NotFound."""
        query = _answer_query().where(
            REQUESTS.c.log_id == self.ledger.log_id, REQUESTS.c.id == request_id
        )
        query = visible(query, REQUESTS, caller)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("request_unknown", "No such access request.")
        return _answer(row)

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


def _in_state(status: GrantStatus, now: int) -> Any:
    """Return the condition of a state: a grant ends by the clock, its row follows."""
    if status == "ended":
        by_clock = (GRANTS.c.status == "active") & (GRANTS.c.ends_ms <= now)
        return (GRANTS.c.status == "ended") | by_clock
    if status in ("active", "suspended"):
        stands = (GRANTS.c.status == "active") & (GRANTS.c.ends_ms > now)
        held = GRANTS.c.holds + HOLDS_AROUND
        return stands & (held > 0 if status == "suspended" else held == 0)
    return GRANTS.c.status == status


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
        ask=Ask(
            row.offering_id,
            row.purpose,
            tuple(row.actions),
            row.days,
            row.form.get("values", {}),
            row.accepted_terms,
        ),
        offering_version=row.offering_version,
        reasons=[Said(**said) for said in row.reasons],
        remedies=[Said(**said) for said in row.remedies],
        policy_digest=row.policy_digest,
        event_id=row.event_id,
        created_ms=row.created_ms,
        grant=grant,
        receipt=None,
        renews=row.renews,
        waits_for=row.waits_for,
        since_ms=row.since_ms,
        until_ms=row.until_ms,
        approvals=row.approvals,
        rev=row.rev,
    )
