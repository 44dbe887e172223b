"""Search the catalog: walk the rarest term's offerings, newest first, and check all else of each.

What is found is exact: the words are looked for in the stored text itself. What it costs is what
the rarest term's list is long, or what a page takes where nearly everything fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, func, literal, select

from exchange.catalog.index import EVERYBODY, FACETS, GRAM, narrowest, under, words
from exchange.catalog.tables import OfferingRow, OfferingSearchRow, OfferingTermRow
from exchange.http import Caller

OFFERINGS = OfferingRow.__table__  # type: ignore[attr-defined]
SEARCH = OfferingSearchRow.__table__  # type: ignore[attr-defined]
TERMS = OfferingTermRow.__table__  # type: ignore[attr-defined]
WEIGHED = 12  # grams of a query whose lists are compared
CAPS = (64, 2048)  # lists are counted so far: the shortest is sought, not its length


@dataclass(frozen=True, slots=True)
class Wanted:
    """Words that must all occur, and groups of terms of each of which one must apply."""

    words: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()


def wanted_by(caller: Caller, query: str | None, **facets: Sequence[str]) -> Wanted:
    """Return what a caller searches for, among what it may know of.

    `facets` are of FACETS: one of a facet's values must apply, and so for each facet.
    """
    groups = [under(facet, sorted(set(facets[facet]))) for facet in FACETS if facets.get(facet)]
    if caller.sight is not None:
        own = under("platform", sorted(caller.sight))
        groups.append((EVERYBODY, f"shown:{caller.org_id}", *own))
    return Wanted(words(query or ""), tuple(groups))


def find(connection: Connection, wanted: Wanted, after: str | None, limit: int) -> list[str]:
    """Return ids of what fits, newest first, `limit` at most, older than `after`."""
    driver = _rarest(connection, wanted)
    if driver is None:
        return list(connection.scalars(page_query(connection, wanted, None, after, limit)))
    rest = Wanted(wanted.words, tuple(group for group in wanted.groups if group != driver))
    found: set[str] = set()
    for term in driver:
        found.update(connection.scalars(page_query(connection, rest, term, after, limit)))
    return sorted(found, reverse=True)[:limit]


def page_query(
    connection: Connection, wanted: Wanted, term: str | None, after: str | None, limit: int
) -> Select[Any]:
    """Return the query for the newest of a term's offerings (None: of all) that fit."""
    id_ = OFFERINGS.c.id if term is None else TERMS.c.offering_id
    query = select(id_).order_by(id_.desc()).limit(limit)
    if term is not None:
        query = query.where(TERMS.c.term == term)
    if after is not None:
        query = query.where(id_ < after)
    # Sub-queries of one value each, which no planner turns into a join over a whole list.
    for group in wanted.groups:
        other = TERMS.alias()
        hits = select(func.count()).where(other.c.term.in_(group), other.c.offering_id == id_)
        query = query.where(hits.scalar_subquery() > 0)
    position = func.instr if connection.dialect.name == "sqlite" else func.strpos
    for word in wanted.words:
        place = select(position(SEARCH.c.text, word)).where(SEARCH.c.id == id_)
        query = query.where(place.scalar_subquery() > 0)
    return query


def _rarest(connection: Connection, wanted: Wanted) -> tuple[str, ...] | None:
    """Return the group of terms with the fewest offerings, to walk; None where there is none."""
    found = dict.fromkeys(gram for word in wanted.words for gram in narrowest(word))
    step = -(-len(found) // WEIGHED) or 1
    groups = [*wanted.groups, *((GRAM + gram,) for gram in list(found)[::step])]
    if len(groups) <= 1:
        return groups[0] if groups else None
    best = groups[0]
    for cap in CAPS:
        terms = list(dict.fromkeys(term for group in groups for term in group))
        counts = connection.execute(select(*(_count(term, cap) for term in terms))).one()
        known = dict(zip(terms, counts, strict=True))
        lengths = [sum(known[term] for term in group) for group in groups]
        best = groups[lengths.index(min(lengths))]
        if min(lengths) < cap:
            break
    return best


def _count(term: str, cap: int) -> ScalarSelect[int]:
    listed = select(literal(1)).where(TERMS.c.term == term).limit(cap).subquery()
    return select(func.count()).select_from(listed).scalar_subquery()
