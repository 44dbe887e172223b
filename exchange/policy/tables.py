"""Which policies are in force, and the terms under which a decision made by others is stale."""

from typing import ClassVar

from sqlmodel import Field, SQLModel


class PolicyStateRow(SQLModel, table=True):
    """One row: the digest in force. Decisions read its rev, so none outlives a change."""

    __tablename__: ClassVar[str] = "policy_state"
    id: str = Field(primary_key=True)
    digest: str
    rev: int
