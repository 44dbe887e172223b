"""Reads of the catalog: cached for the hot path, fresh for everyone else."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, select

from exchange.cache import RowCache
from exchange.catalog.index import Indexed
from exchange.catalog.keep_index import Held
from exchange.catalog.model import Offering, SourceObject, Terms, Version, terms_of
from exchange.catalog.search import SEARCH, Wanted, find
from exchange.catalog.tables import OfferingRow, OfferingVersionRow
from exchange.connections.store import ConnectionStore
from exchange.db import Database
from exchange.errors import NotFound
from exchange.participants.store import ORGANISATIONS

OFFERINGS = OfferingRow.__table__  # type: ignore[attr-defined]
VERSIONS = OfferingVersionRow.__table__  # type: ignore[attr-defined]
COUNTED = 1000  # offerings of a search whose facets are counted


class Catalog:
    """Offerings by id, and their versions, which never change."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.connections = ConnectionStore(db)
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
            raise unknown_version()
        return found

    async def in_version(self, offering: Offering, version: int) -> Offering:
        """Return an offering with the terms and files of one of its published versions."""
        if offering.version == version:
            return offering
        terms, objects = await self.version(offering.id, version)
        return replace(offering, version=version, terms=terms, objects=objects)

    async def search(
        self, wanted: Wanted, after: str | None, limit: int
    ) -> tuple[Sequence[Offering], str | None]:
        """Return a page of offerings, newest first, and the place after which the next begins.

        A page may hold fewer than `limit`, even none, and still name a next.
        """

        def query(connection: Connection) -> tuple[str | None, Sequence[Row[Any]]]:
            page = find(connection, wanted, after, limit)
            statement = select(OFFERINGS).where(OFFERINGS.c.id.in_(page.ids))
            return page.next, connection.execute(statement.order_by(OFFERINGS.c.id.desc())).all()

        more, rows = await self.db.read(query)
        return [offering_of(row) for row in rows], more

    async def facets(self, wanted: Wanted) -> tuple[int, bool, Mapping[str, Mapping[str, int]]]:
        """Count the values of each facet among the newest of what is found: COUNTED at most.

        Returns how many were counted, whether there are more, and the counts by facet and value.
        """

        def query(connection: Connection) -> tuple[bool, Sequence[Sequence[str]]]:
            page = find(connection, wanted, None, COUNTED)
            rows = select(SEARCH.c.facets).where(SEARCH.c.id.in_(page.ids))
            return page.next is not None, connection.scalars(rows).all()

        capped, rows = await self.db.read(query)
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for term, count in Counter(chain.from_iterable(rows)).items():
            facet, _, value = term.partition(":")
            counts[facet][value] = count
        return len(rows), capped, counts

    async def versions(self, offering_id: str, before: int | None, limit: int) -> Sequence[Version]:
        """Return published versions, the newest first, those older than version `before`."""
        query = select(VERSIONS).where(VERSIONS.c.offering_id == offering_id)
        if before is not None:
            query = query.where(VERSIONS.c.version < before)
        query = query.order_by(VERSIONS.c.version.desc()).limit(limit)
        rows = await self.db.read(lambda c: c.execute(query).all())
        return [
            Version(r.version, terms_of(r.terms), _objects(r.objects), r.published_ms, r.event_id)
            for r in rows
        ]

    async def indexed(self, offering_id: str) -> Held:
        """Return what the index holds of an offering, which there is, read now."""
        statement = select(SEARCH).where(SEARCH.c.id == offering_id)
        row = await self.db.point(lambda c: c.execute(statement).one())
        return Held(Indexed(row.text, tuple(row.facets)), row.rev)

    async def unknown_organisations(self, ids: Sequence[str]) -> Sequence[str]:
        """Return those of some organisations' ids that nobody has."""
        if not ids:
            return []
        known = select(ORGANISATIONS.c.id).where(ORGANISATIONS.c.id.in_(ids))
        found = set(await self.db.read(lambda c: c.scalars(known).all()))
        return [each for each in ids if each not in found]

    async def published_with(self, org_id: str, connection_id: str, limit: int) -> Sequence[str]:
        """Return published offerings of a platform whose source is this connection, by id."""
        query = (
            select(OFFERINGS.c.id)
            .where(
                OFFERINGS.c.provider_id == org_id,
                OFFERINGS.c.status == "published",
                OFFERINGS.c.terms[("source", "connection")].as_string() == connection_id,
            )
            .order_by(OFFERINGS.c.id)
            .limit(limit)
        )
        return await self.db.read(lambda c: c.scalars(query).all())

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


def unknown_version() -> NotFound:
    """Return the error for a version that does not exist or may not be seen."""
    return NotFound("version_unknown", "No such version of the offering.")


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
