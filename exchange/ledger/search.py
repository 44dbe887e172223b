"""Search the log: exact, whatever the index (exchange/ledger/index.py) has not reached yet.

Below the index's place refs and hours lead to the candidates; above it each entry is read. Either
way a candidate's own row has the last word. A search reads in blocks, and ends a page after BUDGET
candidates: the page is then short and names the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select, union_all

from exchange.ledger.follow import read_place
from exchange.ledger.index import FOLLOWER, HOUR_MS, HOURS, REFS
from exchange.ledger.ledger import COLUMNS, ENTRIES, Leaf, Ledger
from exchange.ledger.refs import refs_of

BLOCK = 256
BUDGET = 1024
FEW = 256  # lists are compared so far
ROUNDS = 4  # pages of candidates of which the rows say that they are none
END = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Entries that have all of `refs`, at `since_ms` or later and before `until_ms`.

    `sight` are the organisations of which one must be a party of the entry; None: whoever is.
    """

    refs: frozenset[str] = frozenset()
    since_ms: int | None = None
    until_ms: int | None = None
    start: int = 0
    newest: bool = False
    sight: frozenset[str] | None = None

    def fits(self, leaf: Leaf) -> bool:
        """Whether an entry is wanted."""
        if leaf.index < self.start:
            return False
        if self.since_ms is not None and leaf.time_ms < self.since_ms:
            return False
        if self.until_ms is not None and leaf.time_ms >= self.until_ms:
            return False
        if self.sight is not None and self.sight.isdisjoint(leaf.parties):
            return False
        # What it names stands in the entry's bytes or its row; most fail by that.
        for _, _, value in (ref.partition(":") for ref in self.refs):
            if value.encode() not in leaf.entry and value not in leaf.parties:
                return False
        return not self.refs or self.refs <= refs_of(leaf)


@dataclass(frozen=True, slots=True)
class Found:
    """A page, and the index that the next one begins with; None: there is no more."""

    leaves: Sequence[Leaf]
    next: int | None


@dataclass(frozen=True, slots=True)
class _Block:
    leaves: Sequence[Leaf]
    cost: int
    last: int  # the index up to which, in the search's order, everything has been looked at


async def search(ledger: Ledger, wanted: Wanted, limit: int, at: int | None = None) -> Found:
    """Return up to `limit` entries from index `at` on, in the order that is wanted."""
    return await ledger.db.read(lambda c: find(c, ledger.log_id, wanted, limit, at))


def find(
    connection: Connection,
    log_id: str,
    wanted: Wanted,
    limit: int,
    at: int | None = None,
    budget: int = BUDGET,
) -> Found:
    """Search on a connection; see `search`."""
    step = -1 if wanted.newest else 1
    found: list[Leaf] = []
    for block in _blocks(connection, log_id, wanted, limit, at, budget):
        for leaf in block.leaves:
            if wanted.fits(leaf):
                if len(found) == limit:
                    return Found(found, leaf.index)
                found.append(leaf)
        budget -= block.cost
        after = block.last + step
        if budget <= 0 and after >= 0:
            return Found(found, after)
    return Found(found, None)


def _blocks(
    connection: Connection, log_id: str, wanted: Wanted, limit: int, at: int | None, budget: int
) -> Iterator[_Block]:
    low, high = wanted.start, END
    if at is not None:
        low, high = (low, at + 1) if wanted.newest else (max(low, at), END)
    # The place is read first: whatever the index learns meanwhile lies above it.
    place = read_place(connection, log_id, FOLLOWER)
    indexed = place.next_index if place is not None else 0
    first, last = _hours(connection, log_id, wanted)
    parts = [
        (max(low, first), min(high, indexed, last), True),
        (max(low, indexed), high, False),
    ]
    for start, end, by_index in reversed(parts) if wanted.newest else parts:
        if start >= end:
            continue
        if by_index and (wanted.refs or wanted.sight is not None):
            yield from _by_refs(connection, log_id, wanted, start, end, limit, budget)
        else:
            yield from _one_by_one(connection, log_id, wanted, start, end, limit)


def _hours(connection: Connection, log_id: str, wanted: Wanted) -> tuple[int, int]:
    """Return the indexes, first and after the last, between which the times can lie."""
    if wanted.since_ms is None and wanted.until_ms is None:
        return 0, END
    query = select(func.min(HOURS.c.first_index), func.max(HOURS.c.last_index)).where(
        HOURS.c.log_id == log_id
    )
    if wanted.since_ms is not None:
        query = query.where(HOURS.c.hour >= wanted.since_ms // HOUR_MS)
    if wanted.until_ms is not None:
        query = query.where(HOURS.c.hour <= wanted.until_ms // HOUR_MS)
    first, last = connection.execute(query).one()
    return (0, 0) if first is None else (first, last + 1)


def _one_by_one(
    connection: Connection, log_id: str, wanted: Wanted, low: int, high: int, limit: int
) -> Iterator[_Block]:
    filtered = wanted.refs or wanted.sight is not None
    block = BLOCK if filtered else limit + 1
    while low < high:
        query = select(*COLUMNS).where(
            ENTRIES.c.log_id == log_id,
            ENTRIES.c.leaf_index >= low,
            ENTRIES.c.leaf_index < high,
        )
        index = ENTRIES.c.leaf_index
        query = query.order_by(index.desc() if wanted.newest else index).limit(block)
        leaves = [Leaf(*row) for row in connection.execute(query)]
        if leaves:
            yield _Block(leaves, len(leaves), leaves[-1].index)
        if len(leaves) < block:
            return
        low, high = _rest(low, high, leaves[-1].index, newest=wanted.newest)


def _by_refs(
    connection: Connection,
    log_id: str,
    wanted: Wanted,
    low: int,
    high: int,
    limit: int,
    budget: int,
) -> Iterator[_Block]:
    """Walk the list that is rarest hereabouts, and look each of its entries up in the others."""
    groups: list[tuple[str, ...]] = [(ref,) for ref in sorted(wanted.refs)]
    if wanted.sight is not None:  # whoever is a party is named
        groups.append(tuple(f"org:{org}" for org in sorted(wanted.sight)))
    newest = wanted.newest
    while low < high:
        lists = _Lists(connection, log_id, low, high, newest=newest)
        rarest = lists.rarest(groups)
        others = [group for group in groups if group != rarest]
        end = lists.end(rarest, budget) if others else None  # without others all of it fits
        found = lists.walk(rarest, others, limit + 1, end)
        leaves = _read(connection, log_id, found, newest=newest)
        if len(found) > limit:
            yield _Block(leaves, max(limit, budget // ROUNDS), found[-1])
            low, high = _rest(low, high, found[-1], newest=newest)
        elif end is not None:
            yield _Block(leaves, budget, end)
            low, high = _rest(low, high, end, newest=newest)
        else:
            yield _Block(leaves, 0, low if newest else high - 1)
            return


def _rest(low: int, high: int, done: int, *, newest: bool) -> tuple[int, int]:
    return (low, done) if newest else (done + 1, high)


class _Lists:
    """The indexes of entries that have a ref, each list in the search's order, within bounds."""

    def __init__(
        self, connection: Connection, log_id: str, low: int, high: int, *, newest: bool
    ) -> None:
        self.connection, self.log_id, self.low, self.high = connection, log_id, low, high
        self.newest = newest
        self.sign = -1 if newest else 1

    def listed(self, ref: str) -> Select[Any]:
        index = REFS.c.leaf_index
        query = select(index).where(
            REFS.c.log_id == self.log_id, REFS.c.ref == ref, index >= self.low, index < self.high
        )
        return query.order_by(index.desc() if self.newest else index)

    def rarest(self, groups: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        """Return the group whose lists end first, or of those longer than FEW lead furthest."""
        if len(groups) == 1 or not all(groups):
            return min(groups, key=len)
        refs = [ref for group in groups for ref in group]
        parts = []
        for n, ref in enumerate(refs):
            some = self.listed(ref).limit(FEW).subquery()
            reach = (func.min if self.newest else func.max)(some.c.leaf_index)
            parts.append(select(literal(n).label("n"), func.count(), reach))
        counts = {refs[n]: found for n, *found in self.connection.execute(union_all(*parts))}

        def weight(group: tuple[str, ...]) -> tuple[bool, int]:
            reaches = [counts[ref][1] * self.sign for ref in group if counts[ref][0] == FEW]
            if reaches:
                return True, -min(reaches)
            return False, sum(counts[ref][0] for ref in group)

        return min(groups, key=weight)

    def end(self, group: Sequence[str], budget: int) -> int | None:
        """Return up to where budget allows to walk a group's lists; None: to their ends."""
        if not group:
            return None
        ends = (self.listed(ref).offset(budget - 1).limit(1).subquery() for ref in group)
        found: Sequence[int] = self.connection.scalars(union_all(*map(select, ends))).all()
        return (max(found) if self.newest else min(found)) if found else None

    def walk(
        self,
        group: Sequence[str],
        others: Sequence[Sequence[str]],
        limit: int,
        end: int | None,
    ) -> list[int]:
        """Return the first of a group's lists, up to an end, that are in one of each others'."""
        index, found = REFS.c.leaf_index, set[int]()
        for ref in group:
            query = self.listed(ref)
            if end is not None:
                query = query.where(index >= end if self.newest else index <= end)
            for each in others:
                # A sub-query of one value, which no planner turns into a join over a whole list.
                other = REFS.alias()
                hits = select(func.count()).where(
                    other.c.log_id == self.log_id,
                    other.c.ref.in_(each),
                    other.c.leaf_index == index,
                )
                query = query.where(hits.scalar_subquery() > 0)
            found.update(self.connection.scalars(query.limit(limit)))
        return sorted(found, reverse=self.newest)[:limit]


_READ = select(*COLUMNS).where(
    ENTRIES.c.log_id == bindparam("log"),
    ENTRIES.c.leaf_index.in_(bindparam("indexes", expanding=True)),
)


def _read(
    connection: Connection, log_id: str, indexes: Sequence[int], *, newest: bool
) -> list[Leaf]:
    if not indexes:
        return []
    rows = connection.execute(_READ, {"log": log_id, "indexes": list(indexes)})
    return sorted((Leaf(*row) for row in rows), key=lambda leaf: leaf.index, reverse=newest)
