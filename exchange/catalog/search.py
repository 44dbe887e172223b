"""Search the catalog: walk the rarest list of offerings, newest first, and check all else of each.

What is found is exact: long words are looked for in the stored text itself. A page costs what the
rarest list is long, and BUDGET offerings at most: then it is short and names where the next begins.
What few offerings have, as a name of one's own, is found on the first page: its list is short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, func, literal, select, union_all

from exchange.catalog.index import (
    EVERYBODY,
    FILTERS,
    GRAM,
    has_list,
    lists_of,
    ranges_of,
    under,
    words,
)
from exchange.catalog.tables import OfferingRow, OfferingSearchRow, OfferingTermRow
from exchange.http import Caller

OFFERINGS = OfferingRow.__table__  # type: ignore[attr-defined]
SEARCH = OfferingSearchRow.__table__  # type: ignore[attr-defined]
TERMS = OfferingTermRow.__table__  # type: ignore[attr-defined]
WEIGHED = 12  # grams of a query whose lists are compared
FEW = 256  # lists are compared so far
SOME = 1024  # rows of a range that are worth reading whole
BUDGET = 1024  # offerings of a list that a page looks at


@dataclass(frozen=True, slots=True)
class Wanted:
    """Groups of terms of each of which one must apply, and words that the text must contain."""

    words: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Ids, newest first, and the id below which the next page begins; None: there is no more."""

    ids: Sequence[str]
    next: str | None


Source = tuple[str, ...] | slice  # terms, whose lists are walked; or a range of them, read whole


def wanted_by(caller: Caller, query: str | None, **facets: Sequence[str]) -> Wanted:
    """Return what a caller searches for, among what it may know of.

    `facets` are of FILTERS: one of a facet's values must apply, and so for each facet.
    """
    asked = words(query or "")
    groups: list[tuple[str, ...]] = [(GRAM + word,) for word in asked if has_list(word)]
    groups += [under(facet, sorted(set(facets[facet]))) for facet in FILTERS if facets.get(facet)]
    if caller.sight is not None:
        own = under("platform", sorted(caller.sight))
        groups.append((EVERYBODY, f"shown:{caller.org_id}", *own))
    return Wanted(tuple(word for word in asked if not has_list(word)), tuple(groups))


def find(
    connection: Connection, wanted: Wanted, after: str | None, limit: int, budget: int = BUDGET
) -> Found:
    """Return what fits, newest first, `limit` at most, older than `after`."""
    source = _rarest(connection, wanted, after)
    if not isinstance(source, tuple):
        query = page_query(connection, wanted, source, (after, None), limit + 1)
        return _page(connection.scalars(query).all(), limit, None)
    rest = replace(wanted, groups=tuple(group for group in wanted.groups if group != source))
    floor = None
    if rest != Wanted():  # otherwise all of it fits
        ends = (_listed(term, after).offset(budget - 1).limit(1).subquery() for term in source)
        floor = max(connection.scalars(union_all(*(select(end) for end in ends))), default=None)
    found: set[str] = set()
    for term in source:
        query = page_query(connection, rest, term, (after, floor), limit + 1)
        found.update(connection.scalars(query))
    return _page(sorted(found, reverse=True), limit, floor)


def _page(ids: Sequence[str], limit: int, floor: str | None) -> Found:
    if len(ids) > limit:
        return Found(ids[:limit], ids[limit - 1])
    return Found(ids, floor)


def page_query(
    connection: Connection,
    wanted: Wanted,
    source: str | slice | None,
    within: tuple[str | None, str | None],
    limit: int,
) -> Select[Any]:
    """Return the query for the newest that fit of a term's list, a range of terms, or all.

    They are older than the first that they lie `within`, and no older than the second.
    """
    after, floor = within
    if source is None:
        id_ = OFFERINGS.c.id
        query = select(id_) if after is None else select(id_).where(id_ < after)
        query = query.order_by(id_.desc())
    elif isinstance(source, slice):
        id_ = _listed(source, after).distinct().subquery().c.offering_id
        query = select(id_).order_by(id_.desc())
    else:
        id_ = TERMS.c.offering_id
        query = _listed(source, after)
        if floor is not None:
            query = query.where(id_ >= floor)
    # Sub-queries of one value each, which no planner turns into a join over a whole list.
    for group in wanted.groups:
        other = TERMS.alias()
        hits = select(func.count()).where(other.c.term.in_(group), other.c.offering_id == id_)
        query = query.where(hits.scalar_subquery() > 0)
    position = func.instr if connection.dialect.name == "sqlite" else func.strpos
    for word in wanted.words:
        place = select(position(SEARCH.c.text, word)).where(SEARCH.c.id == id_)
        query = query.where(place.scalar_subquery() > 0)
    return query.limit(limit)


def _listed(source: str | slice, after: str | None) -> Select[Any]:
    """Return the query for all that stand under a term or a range of terms, newest first."""
    id_ = TERMS.c.offering_id
    query = select(id_).order_by(id_.desc())
    if isinstance(source, slice):
        query = query.where(TERMS.c.term >= source.start, TERMS.c.term < source.stop)
    else:
        query = query.where(TERMS.c.term == source)
    return query if after is None else query.where(id_ < after)


def _rarest(connection: Connection, wanted: Wanted, after: str | None) -> Source | None:
    """Return what to walk; None where all of the catalog is wanted."""
    grams = dict.fromkeys(GRAM + gram for word in wanted.words for gram in lists_of(word))
    step = -(-len(grams) // WEIGHED) or 1
    groups = [*wanted.groups, *((gram,) for gram in list(grams)[::step])]
    if len(groups) <= 1:
        return groups[0] if groups else None
    ranges = [slice(*ends) for word in wanted.words for ends in ranges_of(word)]
    terms = list(dict.fromkeys(term for group in groups for term in group))
    counts = _weigh(connection, terms, ranges, after)
    weights: list[tuple[tuple[int, str], Source]] = []
    for group in groups:
        count, reach = sum(counts[term][0] for term in group), max(counts[t][1] for t in group)
        weights.append(((count, "") if not reach else (SOME, reach), group))
    for n, each in enumerate(ranges):
        if counts[n][0] < SOME:
            weights.append(((counts[n][0], ""), each))
    return min(weights, key=lambda weight: weight[0])[1]


def _weigh(
    connection: Connection, terms: Sequence[str], ranges: Sequence[slice], after: str | None
) -> dict[str | int, tuple[int, str]]:
    """Return how many stand under terms and, by their places, ranges; and where the counting ended.

    FEW of a list are counted: it leads to the oldest of them. Of the lists that are longer
    that is the rarest, hereabouts, which leads furthest.
    """
    parts = []
    for n, term in enumerate(terms):
        some = _listed(term, after).limit(FEW).subquery()
        parts.append(select(literal(n).label("n"), func.count(), func.min(some.c.offering_id)))
    for n, each in enumerate(ranges, len(terms)):
        within = select(TERMS.c.term).where(TERMS.c.term >= each.start, TERMS.c.term < each.stop)
        some = within.limit(SOME).subquery()
        parts.append(select(literal(n).label("n"), func.count(), literal("")).select_from(some))
    found: dict[str | int, tuple[int, str]] = {}
    for n, count, reach in connection.execute(union_all(*parts)):
        name = terms[n] if n < len(terms) else n - len(terms)
        found[name] = count, reach if count == FEW and reach else ""
    return found
