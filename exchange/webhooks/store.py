"""Reads of webhooks, and of the leaves that concern their organisations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, or_, select

from exchange.errors import Forbidden, NotFound
from exchange.http import Caller
from exchange.ledger.ledger import ENTRIES, Ledger
from exchange.ledger.tables import LogState
from exchange.webhooks.model import Webhook
from exchange.webhooks.tables import WebhookRow

WEBHOOKS = WebhookRow.__table__  # type: ignore[attr-defined]
LOG = LogState.__table__  # type: ignore[attr-defined]
_COLUMNS = tuple(c for c in WEBHOOKS.c if c.name not in ("log_id", "salt"))


def assert_may_change(caller: Caller) -> None:
    """Leave webhooks to programs, owners and developers; raises Forbidden."""
    if not caller.stands_as("owner", "developer"):
        raise Forbidden("member_role_missing", "Owners and developers change webhooks.")


class WebhookStore:
    """Webhooks of one log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.db = ledger.db

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook, read now; None also when it was removed."""
        query = self._all().where(WEBHOOKS.c.id == webhook_id)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        return Webhook(*row) if row is not None else None

    async def own(self, webhook_id: str, caller: Caller) -> Webhook:
        """Return a webhook of the caller's organisation; raises NotFound: an address may hold a
        secret, so it is nobody else's to see.
        """
        found = await self.webhook(webhook_id)
        if found is None or found.org_id != caller.org_id:
            raise NotFound("webhook_unknown", "No such webhook of your organisation.")
        return found

    async def to_change(self, webhook_id: str, caller: Caller) -> Webhook:
        """Return a webhook that the caller may change; raises NotFound or Forbidden."""
        assert_may_change(caller)
        return await self.own(webhook_id, caller)

    async def list_own(self, org_id: str, after: str | None, limit: int) -> list[Webhook]:
        """Return an organisation's webhooks, oldest first."""
        query = self._all().where(WEBHOOKS.c.org_id == org_id).order_by(WEBHOOKS.c.id)
        if after is not None:
            query = query.where(WEBHOOKS.c.id > after)
        rows = await self.db.read(lambda c: c.execute(query.limit(limit)).all())
        return [Webhook(*row) for row in rows]

    async def due(self, now_ms: int, worker: str) -> list[Webhook]:
        """Return the active webhooks whose time has come and that no other worker delivers."""
        free = or_(WEBHOOKS.c.lease_until_ms <= now_ms, WEBHOOKS.c.lease_by == worker)
        query = select(*_COLUMNS).where(
            WEBHOOKS.c.log_id == self.ledger.log_id,
            WEBHOOKS.c.status == "active",
            WEBHOOKS.c.next_try_ms <= now_ms,
            free,
        )
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [Webhook(*row) for row in rows]

    async def next_leaf(
        self, org_id: str, kinds: Sequence[str], start: int, window: int
    ) -> tuple[int, tuple[int, bytes] | None]:
        """Return how far was looked, and the first leaf from `start` on of an organisation.

        Its type must begin with one of `kinds`, if there are any.
        One look reads `window` entries at most: nothing indexes a leaf's parties.
        """
        return await self.db.read(lambda c: self._next_leaf(c, org_id, kinds, start, window))

    def _next_leaf(
        self,
        connection: Connection,
        org_id: str,
        kinds: Sequence[str],
        start: int,
        window: int,
    ) -> tuple[int, tuple[int, bytes] | None]:
        log_id = self.ledger.log_id
        size = connection.execute(select(LOG.c.size).where(LOG.c.log_id == log_id)).scalar_one()
        end = min(start + window, size)
        query = (
            select(ENTRIES.c.leaf_index, ENTRIES.c.entry)
            .where(
                ENTRIES.c.log_id == log_id,
                ENTRIES.c.leaf_index >= start,
                ENTRIES.c.leaf_index < end,
                or_(ENTRIES.c.consumer_id == org_id, ENTRIES.c.provider_id == org_id),
            )
            .order_by(ENTRIES.c.leaf_index)
            .limit(1)
        )
        if kinds:
            begins = [ENTRIES.c.type.startswith(f"exchange.{k}", autoescape=True) for k in kinds]
            query = query.where(or_(*begins))
        row = connection.execute(query).one_or_none()
        if row is None:
            return max(start, end), None
        return row.leaf_index, (row.leaf_index, bytes(row.entry))

    def _all(self) -> Any:
        return select(*_COLUMNS).where(
            WEBHOOKS.c.log_id == self.ledger.log_id, WEBHOOKS.c.status != "removed"
        )
