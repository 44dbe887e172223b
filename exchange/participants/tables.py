"""Tables of participants, outside any log: several logs may speak of one organisation."""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, Index, false
from sqlmodel import Field, SQLModel

from exchange.columns import big, count, json_document


class OrganisationRow(SQLModel, table=True):
    """An organisation with its current attributes; `rev` grows with each change of the row."""

    __tablename__: ClassVar[str] = "organisations"
    id: str = Field(primary_key=True)
    name_en: str
    name_zh: str
    roles: list[str] = Field(sa_column=json_document())
    status: str
    attributes: dict[str, Any] = Field(sa_column=json_document())
    holds: int = Field(default=0, sa_column=count())  # open ones: any suspends
    rev: int
    created_ms: int = Field(sa_column=big())


class AttributeVersionRow(SQLModel, table=True):
    """Every value an attribute had, with the salt of the commitment in its leaf.

    Deleting salt and value erases what the leaf could be opened to (ledger notes).
    """

    __tablename__: ClassVar[str] = "attribute_versions"
    org_id: str = Field(primary_key=True, foreign_key="organisations.id")
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    value: Any = Field(sa_column=Column(JSON, nullable=True))
    evidence: str
    salt: str
    set_by: str
    set_ms: int = Field(sa_column=big())
    event_id: str


class ClientRow(SQLModel, table=True):
    """An OAuth client and its public JWK Set; `member_id` is the person whose it is, if any.

    `secret_hash` is of the secret of a client that has one; the secret itself is kept nowhere.
    """

    __tablename__: ClassVar[str] = "clients"
    __table_args__ = (Index("ix_clients_status", "status", "id"),)
    id: str = Field(primary_key=True)
    org_id: str = Field(foreign_key="organisations.id", index=True)
    name: str
    jwks: dict[str, Any] = Field(sa_column=json_document())
    status: str
    rev: int
    created_ms: int = Field(sa_column=big())
    member_id: str | None = Field(default=None, foreign_key="members.id")
    auth_method: str = Field(
        default="private_key_jwt", sa_column_kwargs={"server_default": "private_key_jwt"}
    )
    dpop_bound: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    secret_hash: str | None = None


class ClientInvitationRow(SQLModel, table=True):
    """Leave to register one client; of its token only the SHA-256 is kept."""

    __tablename__: ClassVar[str] = "client_invitations"
    id: str = Field(primary_key=True)
    org_id: str = Field(foreign_key="organisations.id", index=True)
    token_hash: str = Field(index=True)
    status: str
    expires_ms: int = Field(sa_column=big())
    approved: bool
    secrets: bool
    client_id: str | None = Field(default=None, foreign_key="clients.id")
    made_by: str
    rev: int
    created_ms: int = Field(sa_column=big())


class MemberRow(SQLModel, table=True):
    """A person of an organisation. The name stands here only, and goes when they are removed.

    Of an invitation only the SHA-256 of its secret is kept.
    """

    __tablename__: ClassVar[str] = "members"
    id: str = Field(primary_key=True)
    org_id: str = Field(foreign_key="organisations.id", index=True)
    name: str | None = None
    roles: list[str] = Field(sa_column=json_document())
    status: str
    invitation_hash: str | None = Field(default=None, index=True)
    invitation_expires_ms: int = Field(sa_column=big())
    rev: int
    created_ms: int = Field(sa_column=big())


class EngagementRow(SQLModel, table=True):
    """What an auditor was asked to look into. The purpose and its salt stand here only."""

    __tablename__: ClassVar[str] = "engagements"
    __table_args__ = (Index("ix_engagements_open", "ended_by", "ends_ms"),)
    id: str = Field(primary_key=True)
    auditor_id: str = Field(foreign_key="organisations.id", index=True)
    scope: str
    org_ids: list[str] = Field(sa_column=json_document())
    purpose: str
    salt: str
    ends_ms: int = Field(sa_column=big())
    opened_by: str
    event_id: str
    ended_by: str | None = None
    ended_ms: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    end_event_id: str | None = None
    rev: int
    created_ms: int = Field(sa_column=big())


class AuditReadRow(SQLModel, table=True):
    """What an auditor read of others' affairs; `event_id` is the leaf that it made, if it did."""

    __tablename__: ClassVar[str] = "audit_reads"
    __table_args__ = (Index("ix_audit_reads_auditor", "auditor_id", "log_id", "id"),)
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    at_ms: int = Field(sa_column=big())
    auditor_id: str
    client_id: str
    member_id: str | None = None
    engagements: list[str] = Field(sa_column=json_document())
    kind: str
    filters: dict[str, str] = Field(sa_column=json_document())
    event_id: str | None = None
