"""Search the log: exact, whatever the index (exchange/ledger/index.py) has not reached yet.

Below the index's place refs and hours lead to the candidates; above it each entry is read. Either
way a candidate's own row has the last word. A search reads in blocks, and ends a page after BUDGET
candidates: the page is then short and names the next.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from exchange.ledger.follow import read_place
from exchange.ledger.index import FOLLOWER, HOUR_MS, HOURS, REFS
from exchange.ledger.ledger import COLUMNS, ENTRIES, Leaf, Ledger
from exchange.ledger.refs import refs_of

BLOCK = 256
BUDGET = 20_000
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
    for block in _blocks(connection, log_id, wanted, limit, at):
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
    connection: Connection, log_id: str, wanted: Wanted, limit: int, at: int | None
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
            yield from _by_refs(connection, log_id, wanted, start, end, limit)
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
    connection: Connection, log_id: str, wanted: Wanted, low: int, high: int, limit: int
) -> Iterator[_Block]:
    """Go through the ref that is rarest hereabouts, and check the others against it."""
    newest = wanted.newest
    groups = [[ref] for ref in sorted(wanted.refs)]
    if not groups:
        groups = [sorted(f"org:{org}" for org in wanted.sight or ())]
    size = limit + 1 if len(groups) == 1 and wanted.sight is None else BLOCK
    while low < high:
        lists = [
            _first(connection, log_id, refs, low, high, size, newest=newest) for refs in groups
        ]
        rarest = min(lists, key=lambda found: _reach(found, size, newest=newest))
        if not rarest:
            return
        left = rarest
        for (ref, *_), listed in zip(groups, lists, strict=True):
            if listed is not rarest:
                whole = len(listed) < size
                other = set(listed) if whole else _having(connection, log_id, ref, left)
                left = [index for index in left if index in other]
        for at in range(0, len(left), limit + 1):
            leaves = _read(connection, log_id, left[at : at + limit + 1], newest=newest)
            if leaves:
                yield _Block(leaves, 0, leaves[-1].index)
        yield _Block((), len(rarest), rarest[-1])
        if len(rarest) < size:
            return
        low, high = _rest(low, high, rarest[-1], newest=newest)


def _reach(found: Sequence[int], size: int, *, newest: bool) -> tuple[int, int]:
    """Order lists by how rare their ref is: ended ones first, then those that lead furthest."""
    if len(found) < size:
        return 0, len(found)
    return 1, found[-1] if newest else -found[-1]


def _rest(low: int, high: int, done: int, *, newest: bool) -> tuple[int, int]:
    return (low, done) if newest else (done + 1, high)


def _first(
    connection: Connection,
    log_id: str,
    refs: Sequence[str],
    low: int,
    high: int,
    limit: int,
    *,
    newest: bool,
) -> list[int]:
    """Return the first indexes, in order, of entries that have one of these refs."""
    statement = _NEWEST if newest else _OLDEST
    found: set[int] = set()
    for ref in refs:
        within = {"log": log_id, "ref": ref, "low": low, "high": high, "limit": limit}
        found.update(row.leaf_index for row in connection.execute(statement, within))
    return sorted(found, reverse=newest)[:limit]


_WITHIN = (
    select(REFS.c.leaf_index)
    .where(
        REFS.c.log_id == bindparam("log"),
        REFS.c.ref == bindparam("ref"),
        REFS.c.leaf_index >= bindparam("low"),
        REFS.c.leaf_index < bindparam("high"),
    )
    .limit(bindparam("limit"))
)
_OLDEST = _WITHIN.order_by(REFS.c.leaf_index)
_NEWEST = _WITHIN.order_by(REFS.c.leaf_index.desc())
_HAVING = select(REFS.c.leaf_index).where(
    REFS.c.log_id == bindparam("log"),
    REFS.c.ref == bindparam("ref"),
    REFS.c.leaf_index.in_(bindparam("indexes", expanding=True)),
)
_READ = select(*COLUMNS).where(
    ENTRIES.c.log_id == bindparam("log"),
    ENTRIES.c.leaf_index.in_(bindparam("indexes", expanding=True)),
)


def _having(connection: Connection, log_id: str, ref: str, indexes: Sequence[int]) -> set[int]:
    if not indexes:
        return set()
    wanted = {"log": log_id, "ref": ref, "indexes": list(indexes)}
    return {row.leaf_index for row in connection.execute(_HAVING, wanted)}


def _read(
    connection: Connection, log_id: str, indexes: Sequence[int], *, newest: bool
) -> list[Leaf]:
    if not indexes:
        return []
    rows = connection.execute(_READ, {"log": log_id, "indexes": list(indexes)})
    return sorted((Leaf(*row) for row in rows), key=lambda leaf: leaf.index, reverse=newest)
