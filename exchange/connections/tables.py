"""Tables of connections, outside any log. Secrets stand apart, sealed with the master key."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from exchange.columns import big, json_document


class ConnectionRow(SQLModel, table=True):
    """A connection. The salt opens the commitment in its leaf; removing it clears what it says."""

    __tablename__: ClassVar[str] = "connections"
    __table_args__ = (Index("ix_connections_org", "org_id", "id"),)
    id: str = Field(primary_key=True)
    org_id: str = Field(foreign_key="organisations.id")
    kind: str
    name: str
    url: str
    settings: dict[str, Any] = Field(sa_column=json_document())
    credential: str | None = None
    replaced_ms: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    salt: str
    status: str
    rev: int
    created_ms: int = Field(sa_column=big())
    changed_ms: int = Field(sa_column=big())


class ConnectionSecretRow(SQLModel, table=True):
    """A connection's secret, sealed; `key_id` says by which master key.

    Its rev is its own: sealing it anew under another key changes nothing about the connection.
    """

    __tablename__: ClassVar[str] = "connection_secrets"
    id: str = Field(primary_key=True, foreign_key="connections.id")
    sealed: str
    key_id: str = Field(index=True)
    rev: int


class VaultStateRow(SQLModel, table=True):
    """One row: the master key that seals. Who seals reads its rev, so none seals by an older."""

    __tablename__: ClassVar[str] = "vault_state"
    id: str = Field(primary_key=True)
    key_id: str
    rev: int
