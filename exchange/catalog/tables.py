"""Tables of the catalog, outside any log."""

from typing import Any, ClassVar

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from exchange.columns import big, code_points, count, json_document


class OfferingRow(SQLModel, table=True):
    """An offering: its published version, or the draft before the first."""

    __tablename__: ClassVar[str] = "offerings"
    id: str = Field(primary_key=True)
    provider_id: str = Field(foreign_key="organisations.id", index=True)
    version: int
    status: str = Field(index=True)
    terms: dict[str, Any] = Field(sa_column=json_document())
    objects: list[dict[str, Any]] = Field(sa_column=json_document())
    holds: int = Field(default=0, sa_column=count())  # open ones: any suspends
    rev: int
    created_ms: int = Field(sa_column=big())
    changed_ms: int = Field(sa_column=big())


class OfferingVersionRow(SQLModel, table=True):
    """Every published version as it was: a grant names the one it was given for."""

    __tablename__: ClassVar[str] = "offering_versions"
    offering_id: str = Field(primary_key=True, foreign_key="offerings.id")
    version: int = Field(primary_key=True)
    terms: dict[str, Any] = Field(sa_column=json_document())
    objects: list[dict[str, Any]] = Field(sa_column=json_document())
    salt: str
    published_ms: int = Field(sa_column=big())
    event_id: str


class OfferingSearchRow(SQLModel, table=True):
    """What is searched of an offering, as it stands now: derived, see exchange.catalog.index."""

    __tablename__: ClassVar[str] = "offering_search"
    id: str = Field(primary_key=True, foreign_key="offerings.id")
    text: str
    facets: list[str] = Field(sa_column=json_document())
    rev: int


class OfferingTermRow(SQLModel, table=True):
    """The lists of the index: which offerings stand under a term, in the order of their age.

    No foreign key: its check of each of a description's many grams would cost more than they do.
    """

    __tablename__: ClassVar[str] = "offering_terms"
    __table_args__: ClassVar[dict[str, Any]] = {"sqlite_with_rowid": False}
    term: str = Field(sa_column=code_points(primary_key=True))
    offering_id: str = Field(primary_key=True)


class OfferingPreviewRow(SQLModel, table=True):
    """What was read of a version's files when it was published: schemas, and a sample of rows."""

    __tablename__: ClassVar[str] = "offering_previews"
    __table_args__ = (
        ForeignKeyConstraint(
            ["offering_id", "version"],
            ["offering_versions.offering_id", "offering_versions.version"],
        ),
    )
    offering_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    tables: list[dict[str, Any]] = Field(sa_column=json_document())
    samples: list[dict[str, Any]] = Field(sa_column=json_document())
