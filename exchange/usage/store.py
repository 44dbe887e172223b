"""Reads of use: sums over sessions, those that are open counted use by use."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, select

from exchange.access.allowance import AUTHORISED, counter
from exchange.access.model import Grant
from exchange.access.store import GRANTS, SESSIONS, USE_ENDS, USES, AccessStore, visible
from exchange.clock import DAY_MS, now_ms
from exchange.http import Caller
from exchange.ledger.commit import COUNTERS
from exchange.policy.model import COUNTED
from exchange.usage.model import (
    EAST_MS,
    Allowance,
    By,
    DaySums,
    GrantUsage,
    Sums,
    begins_ms,
    next_minute_ms,
    numbered,
)

_IN_SESSION = and_(USES.c.log_id == SESSIONS.c.log_id, USES.c.session_id == SESSIONS.c.id)
_ENDED = and_(USE_ENDS.c.log_id == USES.c.log_id, USE_ENDS.c.use_id == USES.c.id)
_IS_CLOSED = SESSIONS.c.status == "closed"


def _of_open(value: Any, *, ended: bool = False, authorised: bool = False) -> Any:
    """Return a value over the uses of a session that is not summed up yet."""
    query = select(value).select_from(USES)
    if authorised:
        query = query.where(USES.c.method == AUTHORISED)
    if ended:
        query = query.join(USE_ENDS, _ENDED)
    return query.where(_IN_SESSION).correlate(SESSIONS).scalar_subquery()


_USES = case((_IS_CLOSED, SESSIONS.c.uses), else_=_of_open(func.count()))
_ENDS = case((_IS_CLOSED, SESSIONS.c.uses), else_=_of_open(func.count(), ended=True))
_SENT = case(
    (_IS_CLOSED, SESSIONS.c.sent_bytes),
    else_=_of_open(func.coalesce(func.sum(USE_ENDS.c.sent_bytes), 0), ended=True),
)
_AUTHORISED = case(
    (_IS_CLOSED, SESSIONS.c.authorised), else_=_of_open(func.count(), authorised=True)
)
_RUNNING = case((_IS_CLOSED, 0), else_=_USES - _ENDS - _AUTHORISED)
_UNKNOWN = case((_IS_CLOSED, SESSIONS.c.ended_unknown), else_=0)
_SUMS = [
    func.coalesce(value, 0)
    for value in (
        func.count(SESSIONS.c.id),
        func.sum(_USES),
        func.sum(_SENT),
        func.sum(_RUNNING),
        func.sum(_UNKNOWN),
        func.sum(_AUTHORISED),
    )
]
_day: ColumnElement[int] = (SESSIONS.c.opened_ms + EAST_MS) // DAY_MS
_KEYS: dict[By, ColumnElement[str]] = {
    "offering": GRANTS.c.offering_id,
    "grant": SESSIONS.c.grant_id,
    "consumer": SESSIONS.c.consumer_id,
}


_NOTHING: ColumnElement[str] = literal_column("''")


class UsageStore:
    """Sums over one log's sessions."""

    def __init__(self, store: AccessStore) -> None:
        self._store, self._db, self._log_id = store, store.db, store.ledger.log_id

    async def of_grant(self, grant: Grant) -> GrantUsage:
        """Return what was used of a grant since it was given, and what is left."""
        own = and_(SESSIONS.c.log_id == self._log_id, SESSIONS.c.grant_id == grant.id)
        newest = (
            select(SESSIONS.c.id).where(own).order_by(SESSIONS.c.opened_ms.desc()).limit(1)
        ).scalar_subquery()
        last = select(func.max(USES.c.at_ms)).where(
            USES.c.log_id == self._log_id, USES.c.session_id == newest
        )
        now = now_ms()
        names = {counter(name, grant, now): name for name in COUNTED & grant.obligations.keys()}
        counted = select(COUNTERS.c.key, COUNTERS.c.value).where(
            COUNTERS.c.log_id == self._log_id, COUNTERS.c.key.in_(names)
        )

        def read(connection: Any) -> tuple[Any, int | None, dict[str, int]]:
            sums = connection.execute(select(*_SUMS).where(own)).one()
            used = {names[key]: value for key, value in connection.execute(counted)}
            return sums, connection.execute(last).scalar_one(), used

        sums, last_ms, used = await self._db.read(read)
        allowances = [
            Allowance(
                name,
                int(grant.obligations[name]),
                used.get(name, 0),
                _resets_ms(name, grant, now),
            )
            for name in sorted(set(names.values()) - {"days"})
        ]
        return GrantUsage(_sums(sums), last_ms, allowances)

    async def by_day(
        self,
        caller: Caller,
        first: date,
        last: date,
        limit: int,
        *,
        by: By = "all",
        offering_id: str | None = None,
        grant_id: str | None = None,
        after: tuple[int, str] | None = None,
    ) -> Sequence[DaySums]:
        """Return sums of what the caller may see, a row a day and key, the newest day first."""
        key, by_key = _KEYS.get(by, _NOTHING), [_KEYS[by]] if by in _KEYS else []
        query = (
            select(_day, key, *_SUMS)
            .where(
                SESSIONS.c.log_id == self._log_id,
                SESSIONS.c.opened_ms >= begins_ms(first),
                SESSIONS.c.opened_ms < begins_ms(last) + DAY_MS,
            )
            .group_by(_day, *by_key)
            .order_by(_day.desc(), *by_key)
            .limit(limit)
        )
        if by == "offering" or offering_id is not None:
            query = query.join(
                GRANTS,
                and_(GRANTS.c.log_id == SESSIONS.c.log_id, GRANTS.c.id == SESSIONS.c.grant_id),
            )
        if offering_id is not None:
            query = query.where(GRANTS.c.offering_id == offering_id)
        if grant_id is not None:
            query = query.where(SESSIONS.c.grant_id == grant_id)
        if after is not None:
            day, name = after
            query = query.where(or_(_day < day, and_(_day == day, key > name)))
        query = visible(query, SESSIONS, caller)
        rows = await self._db.read(lambda c: c.execute(query).all())
        return [DaySums(numbered(int(row[0])), row[1], _sums(row[2:])) for row in rows]


def _resets_ms(name: str, grant: Grant, now: int) -> int | None:
    """Return when an allowance begins anew by itself: for a renewed grant, after its period."""
    if name == "calls_per_minute":
        return next_minute_ms(now)
    is_next_due = now < grant.allowance_until_ms < grant.ends_ms
    return grant.allowance_until_ms if is_next_due and name != "concurrent" else None


def _sums(row: Any) -> Sums:
    return Sums(*(int(value) for value in row))
