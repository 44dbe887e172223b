"""Tables of requests, decisions, grants and deliveries: all of one log, keyed by `log_id` first."""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from exchange.columns import big, count, json_document, rows_where

WAITING = rows_where("status = 'pending_approval'")

# Indexes of a party begin with the party. Begun with the log they would hold every column of the
# primary key, and PostgreSQL, before its first statistics, walks them to check foreign keys.


class RequestRow(SQLModel, table=True):
    """What was asked."""

    __tablename__: ClassVar[str] = "access_requests"
    __table_args__ = (
        Index("ix_access_requests_consumer", "consumer_id", "log_id", "id"),
        Index("ix_access_requests_provider", "provider_id", "log_id", "id"),
        # Of the requests that wait alone: what is settled at once costs them nothing.
        Index("ix_access_requests_remind", "log_id", "remind_ms", **WAITING),
        Index("ix_access_requests_until", "log_id", "until_ms", **WAITING),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    consumer_id: str = Field(foreign_key="organisations.id")
    provider_id: str = Field(foreign_key="organisations.id")
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: list[str] = Field(sa_column=json_document())
    days: int = Field(sa_column=big())
    form: dict[str, Any] = Field(sa_column=json_document())  # values, and their leaf's salt
    accepted_terms: str | None = None
    renews: str | None = None  # the grant that this asks to renew
    status: str
    decision_id: str  # the latest
    approvals: list[Any] = Field(sa_column=json_document())  # as the policy is told of them
    grant_id: str | None = None  # what came of it
    waits_for: str | None = None  # provider, consumer; None: nobody
    since_ms: int = Field(sa_column=big())
    until_ms: int = Field(sa_column=big())  # it lapses, unless somebody acts
    remind_ms: int = Field(sa_column=big())
    rev: int
    created_ms: int = Field(sa_column=big())


class StepRow(SQLModel, table=True):
    """What somebody did about a request after it was made; the text opens its leaf's commitment."""

    __tablename__: ClassVar[str] = "request_steps"
    __table_args__ = (
        ForeignKeyConstraint(
            ["log_id", "request_id"], ["access_requests.log_id", "access_requests.id"]
        ),
        Index("ix_request_steps_request", "log_id", "request_id", "id"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    request_id: str
    consumer_id: str
    provider_id: str
    kind: str
    by_org: str | None = None  # None: the clock
    by_client: str | None = None
    by_member: str | None = None
    text: str
    salt: str
    form_changed: bool = False  # by an answer: approvals given before count no longer
    at_ms: int = Field(sa_column=big())
    event_id: str


class DecisionRow(SQLModel, table=True):
    """What was decided, by which policies, on which input: enough to decide it again."""

    __tablename__: ClassVar[str] = "decisions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["log_id", "request_id"], ["access_requests.log_id", "access_requests.id"]
        ),
        Index("ix_decisions_request", "log_id", "request_id"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    request_id: str
    consumer_id: str
    provider_id: str
    outcome: str
    reasons: list[Any] = Field(sa_column=json_document())
    remedies: list[Any] = Field(sa_column=json_document())
    obligations: dict[str, Any] = Field(sa_column=json_document())
    policy_digest: str
    input: dict[str, Any] = Field(sa_column=json_document())
    input_salt: str
    result_salt: str
    decided_ms: int = Field(sa_column=big())
    event_id: str
    leaf_index: int = Field(sa_column=big())


class GrantRow(SQLModel, table=True):
    """A grant. `leaf_index` is its leaf's, `status_index` its place in a status list."""

    __tablename__: ClassVar[str] = "grants"
    __table_args__ = (
        ForeignKeyConstraint(
            ["log_id", "request_id"], ["access_requests.log_id", "access_requests.id"]
        ),
        UniqueConstraint("log_id", "request_id"),
        UniqueConstraint("log_id", "leaf_index"),
        Index("ix_grants_consumer", "consumer_id", "log_id", "id"),
        Index("ix_grants_provider", "provider_id", "log_id", "id"),
        Index("ix_grants_end", "log_id", "status", "ends_ms"),
        Index("ix_grants_status_index", "provider_id", "log_id", "status_index", unique=True),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    request_id: str
    decision_id: str
    consumer_id: str
    provider_id: str
    client_id: str
    offering_id: str
    offering_version: int
    purpose: str
    actions: list[str] = Field(sa_column=json_document())
    obligations: dict[str, Any] = Field(sa_column=json_document())
    ask: str
    terms_digest: str | None = None
    approvals: list[Any] = Field(sa_column=json_document())  # it stands under these
    renewals: int
    allowance: int = Field(default=0, sa_column=count())  # renewals when it began
    allowance_until_ms: int = Field(default=0, sa_column=big(server_default="0"))
    status: str
    leaf_index: int = Field(sa_column=big())
    # Drawn by chance as the grant is made (ledger/vacant.py), and never given to another.
    status_index: int = Field(sa_column=big(server_default="-1"))
    starts_ms: int = Field(sa_column=big())
    ends_ms: int = Field(sa_column=big())
    event_id: str
    holds: int = Field(default=0, sa_column=count())  # open ones on itself: any suspends
    rev: int


class HoldRow(SQLModel, table=True):
    """A suspension: of what, by whom, why, and who lifted it. Texts open their leaves' commitments.

    How many are open on a row stands in that row's `holds`, changed in the same write.
    """

    __tablename__: ClassVar[str] = "holds"
    __table_args__ = (
        Index("ix_holds_target", "target_id", "log_id", "id"),
        Index("ix_holds_consumer", "consumer_id", "log_id", "id"),
        Index("ix_holds_provider", "provider_id", "log_id", "id"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    target_kind: str
    target_id: str
    consumer_id: str | None = Field(default=None, foreign_key="organisations.id")
    provider_id: str | None = Field(default=None, foreign_key="organisations.id")
    placed_by: str
    by_org: str | None = None  # None: a rule
    by_client: str | None = None
    by_member: str | None = None
    reason: str
    text: str
    salt: str
    decision_id: str | None = None  # what the rule saw and said
    placed_ms: int = Field(sa_column=big())
    event_id: str
    lifted_ms: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    lifted_by: str | None = None
    lifted_by_org: str | None = None
    lifted_by_client: str | None = None
    lifted_by_member: str | None = None
    lift_text: str | None = None
    lift_salt: str | None = None
    lift_decision_id: str | None = None
    lift_event_id: str | None = None
    rev: int


class RevocationRow(SQLModel, table=True):
    """Who revoked a grant, and why; the text opens its leaf's commitment."""

    __tablename__: ClassVar[str] = "revocations"
    __table_args__ = (ForeignKeyConstraint(["log_id", "grant_id"], ["grants.log_id", "grants.id"]),)
    log_id: str = Field(primary_key=True)
    grant_id: str = Field(primary_key=True)
    revoked_by: str
    by_org: str
    by_client: str
    by_member: str | None = None
    reason: str
    text: str
    salt: str
    at_ms: int = Field(sa_column=big())
    event_id: str


class SessionRow(SQLModel, table=True):
    """Deliveries of one object, or calls, by one client under one grant, a quarter of an hour."""

    __tablename__: ClassVar[str] = "sessions"
    __table_args__ = (
        ForeignKeyConstraint(["log_id", "grant_id"], ["grants.log_id", "grants.id"]),
        Index("ix_sessions_open", "log_id", "status", "expires_ms"),
        Index("ix_sessions_grant", "log_id", "grant_id", "opened_ms"),
        Index("ix_sessions_opened", "log_id", "opened_ms"),
        Index("ix_sessions_consumer", "consumer_id", "log_id", "opened_ms"),
        Index("ix_sessions_provider", "provider_id", "log_id", "opened_ms"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    grant_id: str
    client_id: str
    consumer_id: str
    provider_id: str
    object_name: str
    object_version: str
    status: str
    opened_ms: int = Field(sa_column=big())
    expires_ms: int = Field(sa_column=big())
    uses: int | None = None  # once it is closed, as its leaf says
    sent_bytes: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    ended_unknown: int | None = None
    authorised: int | None = None
    rev: int


class UseRow(SQLModel, table=True):
    """One request for a file or one call, recorded before anything was released or forwarded."""

    __tablename__: ClassVar[str] = "uses"
    __table_args__ = (
        ForeignKeyConstraint(["log_id", "session_id"], ["sessions.log_id", "sessions.id"]),
        Index("ix_uses_session", "log_id", "session_id", "id"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    session_id: str
    grant_id: str
    consumer_id: str
    provider_id: str
    client_id: str
    method: str
    target: str | None = None  # the file, or `METHOD /path`; None: of before it was noted
    first_byte: int = Field(sa_column=big())
    last_byte: int = Field(sa_column=big())
    at_ms: int = Field(sa_column=big())


class RunningUseRow(SQLModel, table=True):
    """A use that runs under a grant that counts its bytes or what runs at once (running.py)."""

    __tablename__: ClassVar[str] = "running_uses"
    __table_args__ = (
        ForeignKeyConstraint(["log_id", "grant_id"], ["grants.log_id", "grants.id"]),
        Index("ix_running_uses_until", "log_id", "until_ms"),
        Index("ix_running_uses_grant", "log_id", "grant_id"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)  # the use's
    grant_id: str
    allowance: int  # which of the grant's it spends
    reserved_bytes: int = Field(sa_column=big())
    until_ms: int = Field(sa_column=big())
    rev: int


class UseEndRow(SQLModel, table=True):
    """How a use ended: bytes sent. A use without one ended unknown (a crash, a lost worker)."""

    __tablename__: ClassVar[str] = "use_ends"
    log_id: str = Field(primary_key=True)
    use_id: str = Field(primary_key=True)
    sent_bytes: int = Field(sa_column=big())
    complete: bool
    at_ms: int = Field(sa_column=big())
