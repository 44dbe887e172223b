"""Reads of the catalog: cached for the hot path, fresh for everyone else."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from exchange.cache import RowCache
from exchange.catalog.model import Offering, SourceObject, Terms, terms_of
from exchange.catalog.tables import OfferingRow, OfferingVersionRow
from exchange.db import Database
from exchange.errors import NotFound

OFFERINGS = OfferingRow.__table__  # type: ignore[attr-defined]
VERSIONS = OfferingVersionRow.__table__  # type: ignore[attr-defined]


class Catalog:
    """Offerings by id, and their versions, which never change."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.offerings: RowCache[Offering] = RowCache(self._load)
        self._versions: RowCache[tuple[Terms, tuple[SourceObject, ...]]] = RowCache(
            self._load_version
        )

    async def offering(self, offering_id: str) -> Offering:
        """Return an offering, read now; raises NotFound."""
        found = await self.offerings.get(offering_id, fresh=True)
        if found is None:
            raise unknown_offering()
        return found

    async def version(
        self, offering_id: str, version: int
    ) -> tuple[Terms, tuple[SourceObject, ...]]:
        """Return a published version's terms and objects; raises NotFound."""
        found = await self._versions.get(f"{offering_id}/{version}")
        if found is None:
            raise NotFound("version_unknown", "No such version of the offering.")
        return found

    async def list(
        self, after: str | None, limit: int, *, provider_id: str | None, all_states: bool
    ) -> Sequence[Offering]:
        """Return offerings by id: published ones, and `provider_id`'s own in every state."""
        query = select(OFFERINGS).order_by(OFFERINGS.c.id).limit(limit)
        if not all_states:
            visible = OFFERINGS.c.status == "published"
            if provider_id is not None:
                visible = or_(visible, OFFERINGS.c.provider_id == provider_id)
            query = query.where(visible)
        if after is not None:
            query = query.where(OFFERINGS.c.id > after)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [offering_of(row) for row in rows]

    def drop(self, ids: Sequence[str]) -> None:
        """Forget cached rows that changed."""
        self.offerings.drop(ids)

    async def _load(self, offering_id: str) -> Offering | None:
        def query(connection: Connection) -> Offering | None:
            statement = select(OFFERINGS).where(OFFERINGS.c.id == offering_id)
            row = connection.execute(statement).one_or_none()
            return offering_of(row) if row is not None else None

        return await self.db.point(query)

    async def _load_version(self, key: str) -> tuple[Terms, tuple[SourceObject, ...]] | None:
        offering_id, _, version = key.partition("/")

        def query(connection: Connection) -> tuple[Terms, tuple[SourceObject, ...]] | None:
            row = connection.execute(
                select(VERSIONS.c.terms, VERSIONS.c.objects).where(
                    VERSIONS.c.offering_id == offering_id, VERSIONS.c.version == int(version)
                )
            ).one_or_none()
            return (terms_of(row.terms), _objects(row.objects)) if row is not None else None

        return await self.db.point(query)


def unknown_offering() -> NotFound:
    """Return the error for an offering that does not exist or may not be seen."""
    return NotFound("offering_unknown", "No such offering.")


def offering_of(row: Row[Any]) -> Offering:
    """Make an offering of its row."""
    values = row._asdict()
    values["terms"] = terms_of(values["terms"])
    values["objects"] = _objects(values["objects"])
    return Offering(**values)


def values_of(offering: Offering) -> dict[str, Any]:
    """Return the columns of an offering, without id and rev."""
    return {
        "provider_id": offering.provider_id,
        "version": offering.version,
        "status": offering.status,
        "terms": offering.terms.as_document(),
        "objects": [asdict(o) for o in offering.objects],
        "created_ms": offering.created_ms,
        "changed_ms": offering.changed_ms,
    }


def _objects(rows: Sequence[Mapping[str, Any]]) -> tuple[SourceObject, ...]:
    return tuple(SourceObject(**row) for row in rows)
