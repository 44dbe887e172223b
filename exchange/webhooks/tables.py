"""The table of webhooks: of one log, as the place of each is an index of it."""

from typing import ClassVar

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from exchange.columns import big, json_document


class WebhookRow(SQLModel, table=True):
    """A webhook and its delivery's state. The salt opens the commitment to the URL in its leaf;
    removing the webhook clears both.
    """

    __tablename__: ClassVar[str] = "webhooks"
    __table_args__ = (
        Index("ix_webhooks_org", "org_id", "log_id", "id"),
        Index("ix_webhooks_status", "log_id", "status"),
    )
    log_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    org_id: str = Field(foreign_key="organisations.id")
    url: str
    salt: str
    status: str
    next_index: int = Field(sa_column=big())
    kinds: list[str] = Field(sa_column=json_document())
    failures: int
    last_error: str | None = None
    failing_since_ms: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    next_try_ms: int = Field(sa_column=big())
    lease_by: str
    lease_until_ms: int = Field(sa_column=big())
    rev: int
    created_ms: int = Field(sa_column=big())
