"""Reads of connections and of their sealed secrets; nothing here is cached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from exchange.connections.model import Connection
from exchange.connections.tables import ConnectionRow, ConnectionSecretRow, VaultStateRow
from exchange.db import Database
from exchange.errors import NotFound

CONNECTIONS = ConnectionRow.__table__  # type: ignore[attr-defined]
SECRETS = ConnectionSecretRow.__table__  # type: ignore[attr-defined]
VAULT = VaultStateRow.__table__  # type: ignore[attr-defined]
ACTIVE = "active"  # of a connection; and the id of the vault's one row
_COLUMNS = tuple(c for c in CONNECTIONS.c if c.name not in ("salt", "status"))

# Read for each call: building it anew cost more than the database's answer.
_WITH_SECRET: Any = (
    select(*_COLUMNS, SECRETS.c.sealed, SECRETS.c.key_id, SECRETS.c.rev.label("secret_rev"))
    .outerjoin(SECRETS, SECRETS.c.id == CONNECTIONS.c.id)
    .where(
        CONNECTIONS.c.id == bindparam("connection"),
        CONNECTIONS.c.org_id == bindparam("org"),
        CONNECTIONS.c.status == ACTIVE,
    )
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is stored, and by which master key."""

    text: str = field(repr=False)
    key_id: str
    rev: int


@dataclass(frozen=True, slots=True)
class VaultState:
    """The master key that seals. A write that seals reads the rev, so none seals by an older."""

    key_id: str
    rev: int


class ConnectionStore:
    """Connections of every platform, each by its platform and its id."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def find(self, org_id: str, connection_id: str) -> Connection | None:
        """Return an organisation's connection, read now; None also when it was removed."""
        query = self._own(org_id).where(CONNECTIONS.c.id == connection_id)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        return connection_of(row) if row is not None else None

    async def own(self, org_id: str, connection_id: str) -> Connection:
        """Return an organisation's connection, read now; raises NotFound for everybody else's."""
        found = await self.find(org_id, connection_id)
        if found is None:
            raise NotFound("connection_unknown", "No such connection of your organisation.")
        return found

    async def list_own(self, org_id: str, after: str | None, limit: int) -> list[Connection]:
        """Return an organisation's connections, oldest first."""
        query = self._own(org_id).order_by(CONNECTIONS.c.id).limit(limit)
        if after is not None:
            query = query.where(CONNECTIONS.c.id > after)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [connection_of(row) for row in rows]

    async def with_secret(
        self, org_id: str, connection_id: str
    ) -> tuple[Connection, Sealed | None] | None:
        """Return a connection with its sealed secret, if it has one, both as of one moment."""
        wanted = {"org": org_id, "connection": connection_id}
        row: Row[Any] | None = await self.db.point(
            lambda c: c.execute(_WITH_SECRET, wanted).one_or_none()
        )
        if row is None:
            return None
        sealed = None
        if row.sealed is not None:
            sealed = Sealed(row.sealed, row.key_id, row.secret_rev)
        return connection_of(row), sealed

    async def vault_state(self) -> VaultState | None:
        """Return which master key seals, read now; None before the first start."""
        query = select(VAULT.c.key_id, VAULT.c.rev).where(VAULT.c.id == ACTIVE)
        row = await self.db.point(lambda c: c.execute(query).one_or_none())
        return VaultState(*row) if row is not None else None

    async def sealed_by(self) -> Mapping[str, int]:
        """Return how many secrets are sealed by each master key."""
        query = select(SECRETS.c.key_id, func.count()).group_by(SECRETS.c.key_id)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return {row[0]: row[1] for row in rows}

    async def not_sealed_by(
        self, key_id: str, after: str, limit: int
    ) -> Sequence[tuple[Connection, Sealed]]:
        """Return connections whose secret another key sealed, by id, those after `after`."""
        query: Any = (
            select(*_COLUMNS, SECRETS.c.sealed, SECRETS.c.key_id, SECRETS.c.rev.label("secret_rev"))
            .join(SECRETS, SECRETS.c.id == CONNECTIONS.c.id)
            .where(SECRETS.c.key_id != key_id, SECRETS.c.id > after)
            .order_by(SECRETS.c.id)
            .limit(limit)
        )
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [(connection_of(r), Sealed(r.sealed, r.key_id, r.secret_rev)) for r in rows]

    def _own(self, org_id: str) -> Any:
        return select(*_COLUMNS).where(
            CONNECTIONS.c.org_id == org_id, CONNECTIONS.c.status == ACTIVE
        )


def connection_of(row: Row[Any]) -> Connection:
    """Make a connection of its row."""
    values = row._asdict()
    return Connection(**{column.name: values[column.name] for column in _COLUMNS})
