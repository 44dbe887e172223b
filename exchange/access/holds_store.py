"""Reads of holds. A party reads those on what is its own, auditors what they are engaged for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, select

from exchange.access.holds import Hold
from exchange.access.model import Grant, Said
from exchange.access.store import DECISIONS, HOLDS, visible
from exchange.errors import NotFound
from exchange.http import Caller
from exchange.ledger.ledger import Ledger

_COLUMNS = [each.name for each in fields(Hold) if not each.name.startswith("policy_")]


class HoldsStore:
    """Holds of one log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.db = ledger, ledger.db

    async def hold(self, hold_id: str) -> Hold:
        """Return a hold, read now; raises NotFound."""
        return await self._one(self._query().where(HOLDS.c.id == hold_id))

    async def hold_for(self, hold_id: str, caller: Caller) -> Hold:
        """Return a hold that the caller may read, read now; raises NotFound."""
        return await self._one(visible(self._query().where(HOLDS.c.id == hold_id), HOLDS, caller))

    async def holds(
        self,
        caller: Caller,
        after: str | None,
        limit: int,
        *,
        target_id: str | None = None,
        is_open: bool | None = None,
    ) -> Sequence[Hold]:
        """Return holds that the caller may read, newest first."""
        query = visible(self._query(), HOLDS, caller)
        if target_id is not None:
            query = query.where(HOLDS.c.target_id == target_id)
        if is_open is not None:
            open_ones = HOLDS.c.lifted_ms.is_(None)
            query = query.where(open_ones if is_open else ~open_ones)
        if after is not None:
            query = query.where(HOLDS.c.id < after)
        query = query.order_by(HOLDS.c.id.desc()).limit(limit)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_hold(row) for row in rows]

    async def open_on(self, target_ids: Collection[str], limit: int = 1000) -> Sequence[Hold]:
        """Return the open holds on any of these, oldest first."""
        query = self._query().where(HOLDS.c.target_id.in_(target_ids), HOLDS.c.lifted_ms.is_(None))
        query = query.order_by(HOLDS.c.id).limit(limit)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [_hold(row) for row in rows]

    async def by_rule(self, grant_ids: Collection[str]) -> Mapping[str, Hold]:
        """Return the open holds that a rule placed on any of these grants; one each at most."""
        query = self._query().where(
            HOLDS.c.target_id.in_(grant_ids),
            HOLDS.c.placed_by == "rule",
            HOLDS.c.lifted_ms.is_(None),
        )
        rows = await self.db.read(lambda c: c.execute(query).all())
        return {row.target_id: _hold(row) for row in rows}

    async def suspending(self, grants: Sequence[Grant]) -> Mapping[str, Sequence[Hold]]:
        """Return the open holds that suspend each of these grants, by the grant's id."""
        held = [grant for grant in grants if grant.holds or grant.holds_around]
        if not held:
            return {}
        around = {grant.id: _around(grant) for grant in held}
        found = await self.open_on(frozenset().union(*around.values()))
        return {
            grant_id: [hold for hold in found if hold.target_id in ids]
            for grant_id, ids in around.items()
        }

    def _query(self) -> Any:
        decided = (DECISIONS.c.log_id == HOLDS.c.log_id) & (DECISIONS.c.id == HOLDS.c.decision_id)
        return (
            select(
                *[HOLDS.c[name] for name in _COLUMNS],
                DECISIONS.c.reasons.label("policy_reasons"),
                DECISIONS.c.remedies.label("policy_remedies"),
            )
            .outerjoin(DECISIONS, decided)
            .where(HOLDS.c.log_id == self.ledger.log_id)
        )

    async def _one(self, query: Any) -> Hold:
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise NotFound("hold_unknown", "No such hold.")
        return _hold(row)


def _around(grant: Grant) -> frozenset[str]:
    return frozenset({grant.id, grant.offering_id, grant.consumer_id, grant.provider_id})


def _hold(row: Row[Any]) -> Hold:
    values = row._asdict()
    reasons, remedies = values.pop("policy_reasons"), values.pop("policy_remedies")
    return Hold(
        **values,
        policy_reasons=[Said(**said) for said in reasons or ()],
        policy_remedies=[Said(**said) for said in remedies or ()],
    )
