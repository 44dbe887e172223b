"""Tables of the catalog, outside any log."""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel


def _big() -> Any:
    return Column(BigInteger, nullable=False)


def _json() -> Any:
    return Column(JSON, nullable=False)


class OfferingRow(SQLModel, table=True):
    """An offering: its published version, or the draft before the first."""

    __tablename__: ClassVar[str] = "offerings"
    id: str = Field(primary_key=True)
    provider_id: str = Field(foreign_key="organisations.id", index=True)
    version: int
    status: str = Field(index=True)
    terms: dict[str, Any] = Field(sa_column=_json())
    objects: list[dict[str, Any]] = Field(sa_column=_json())
    rev: int
    created_ms: int = Field(sa_column=_big())
    changed_ms: int = Field(sa_column=_big())


class OfferingVersionRow(SQLModel, table=True):
    """Every published version as it was: a grant names the one it was given for."""

    __tablename__: ClassVar[str] = "offering_versions"
    offering_id: str = Field(primary_key=True, foreign_key="offerings.id")
    version: int = Field(primary_key=True)
    terms: dict[str, Any] = Field(sa_column=_json())
    objects: list[dict[str, Any]] = Field(sa_column=_json())
    salt: str
    published_ms: int = Field(sa_column=_big())
    event_id: str
