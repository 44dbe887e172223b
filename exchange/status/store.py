"""Grants' statuses as rows say them, each answer of one moment: rows and the log's size agree."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, bindparam, case, or_, select

from exchange.access.store import GRANTS, HOLDS_AROUND
from exchange.clock import now_ms
from exchange.formats.status_list import INVALID, SUSPENDED, VALID, StatusList
from exchange.formats.status_token import MOST_CHANGES, Change
from exchange.ledger.ledger import ENTRIES, LOG, Ledger
from exchange.ledger.vacant import SPACES
from exchange.participants.store import CLIENTS
from exchange.status.model import HARMLESS, Touched

MOST_LEAVES: Final = 5_000
"""Leaves that are read to go on; where more were missed the whole list is fetched."""

AT_ONCE: Final = 500
SMALLEST: Final = 1 << SPACES[0]

_STATUS = case(
    (GRANTS.c.status != "active", INVALID),
    (GRANTS.c.ends_ms <= bindparam("now"), INVALID),  # by the clock, its leaf follows
    (CLIENTS.c.status != "active", INVALID),  # disabled for good
    (GRANTS.c.holds + HOLDS_AROUND > 0, SUSPENDED),
    else_=VALID,
).label("code")
_FROM = GRANTS.join(CLIENTS, CLIENTS.c.id == GRANTS.c.client_id)
_ROWS = (
    select(GRANTS.c.provider_id, GRANTS.c.status_index, _STATUS)
    .select_from(_FROM)
    .where(GRANTS.c.log_id == bindparam("log"))
)
_SIZE = select(LOG.c.size).where(LOG.c.log_id == bindparam("log"))
_LEAVES = (
    select(ENTRIES.c.type, ENTRIES.c.subject)
    .where(
        ENTRIES.c.log_id == bindparam("log"),
        ENTRIES.c.leaf_index >= bindparam("start"),
        ENTRIES.c.leaf_index < bindparam("end"),
        ENTRIES.c.type.not_in(sorted(HARMLESS)),
    )
    .order_by(ENTRIES.c.leaf_index)
)


@dataclass(frozen=True, slots=True)
class Since:
    """What changed up to a size of the log, by provider; None: too much to say, of any or of one.

    A status is what it is at `log_index`, even if other leaves in between made it something else.
    """

    log_index: int
    changes: Mapping[str, Sequence[Change] | None] | None

    def of(self, provider_id: str) -> Sequence[Change] | None:
        """Return one provider's changes; None where there are too many."""
        return self.changes.get(provider_id, ()) if self.changes is not None else None


class StatusStore:
    """Reads of one log."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.db = ledger, ledger.db

    async def listed(self, provider_id: str) -> tuple[int, StatusList]:
        """Return a provider's whole list, with the size of the log at which it is so."""
        return await self.db.read(lambda c: self._listed(c, provider_id))

    async def since(self, start: int, providers: Collection[str]) -> Since:
        """Return what the leaves from `start` on changed for these providers."""
        return await self.db.read(lambda c: self._since(c, start, providers))

    def _listed(self, connection: Connection, provider_id: str) -> tuple[int, StatusList]:
        moment = _one_moment(connection)
        size = self._size(moment)
        places = select(GRANTS.c.status_index).where(
            GRANTS.c.log_id == self.ledger.log_id, GRANTS.c.provider_id == provider_id
        )
        last = moment.execute(
            places.order_by(GRANTS.c.status_index.desc()).limit(1)
        ).scalar_one_or_none()
        made = StatusList(max(SMALLEST, (last or 0) + 1))
        query = _ROWS.where(GRANTS.c.provider_id == provider_id, _STATUS != VALID)
        rows = moment.execute(query, self._wanted())
        made.set_all((index, code) for _, index, code in rows)
        return size, made

    def _since(self, connection: Connection, start: int, providers: Collection[str]) -> Since:
        moment = _one_moment(connection)
        size = self._size(moment)
        if not start <= size <= start + MOST_LEAVES:
            return Since(size, None)
        wanted = {"log": self.ledger.log_id, "start": start, "end": size}
        leaves = moment.execute(_LEAVES, wanted).all() if size > start else ()
        changes: dict[str, dict[int, int]] = {}
        touched = Touched.of((kind, subject) for kind, subject in leaves)
        for query in _queries(touched, providers):
            for provider_id, index, code in moment.execute(query, self._wanted()):
                if provider_id in providers:
                    changes.setdefault(provider_id, {})[index] = code
        return Since(size, {each: _bounded(found) for each, found in changes.items()})

    def _size(self, connection: Connection) -> int:
        return int(connection.execute(_SIZE, {"log": self.ledger.log_id}).scalar_one())

    def _wanted(self) -> dict[str, Any]:
        return {"log": self.ledger.log_id, "now": now_ms()}


def _one_moment(connection: Connection) -> Connection:
    """Let all that this transaction reads be of one moment; on SQLite it is so anyway."""
    if connection.dialect.name == "sqlite":
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ")


def _queries(touched: Touched, providers: Collection[str]) -> Iterator[Any]:
    """Yield queries for the grants that are touched: themselves, or by what they rest on.

    What is over stays so, whatever becomes of what it rested on.
    """
    for ids in _batches(touched.grants):
        yield _ROWS.where(GRANTS.c.id.in_(ids))
    standing = _ROWS.where(GRANTS.c.status == "active", GRANTS.c.provider_id.in_(providers))
    for ids in _batches(touched.offerings):
        yield standing.where(GRANTS.c.offering_id.in_(ids))
    for ids in _batches(touched.organisations):
        yield standing.where(or_(GRANTS.c.consumer_id.in_(ids), GRANTS.c.provider_id.in_(ids)))
    for ids in _batches(touched.clients):
        yield standing.where(GRANTS.c.client_id.in_(ids))


def _batches(ids: Sequence[str]) -> Iterator[list[str]]:
    left = iter(ids)
    while batch := list(islice(left, AT_ONCE)):
        yield batch


def _bounded(changes: Mapping[int, int]) -> Sequence[Change] | None:
    return list(changes.items()) if len(changes) <= MOST_CHANGES else None
