"""A write is data, not a callback: what was read, what changes, what the log will say.

The verb that decides builds a `Write`; the ledger rechecks what it read under the log's lock and
commits many of them in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from exchange.chance import random_bytes
from exchange.clock import now_ms, rfc3339
from exchange.errors import BadInput
from exchange.formats import canonical
from exchange.formats.receipt import Receipt
from exchange.formats.tiles import MAX_ENTRY
from exchange.ids import new_id

JSONObject = dict[str, Any]
RowKey = tuple[Table, str]


@dataclass(frozen=True, slots=True)
class LeafIndex:
    """Stands in a row for the index that the write's n-th event will get."""

    event: int = 0


@dataclass(slots=True, eq=False)
class Vacant:
    """Stands in a row for a random number that no row with the same `within` columns has.

    `value` is the number, once the write is committed (vacant.py).
    """

    within: tuple[str, ...]
    value: int = -1


@dataclass(frozen=True, slots=True)
class Event:
    """One entry to be: CloudEvents 1.0, structured, canonical (RFC 8785), with a 128-bit nonce.

    The nonce keeps the entry's hash, which is public, from being guessed (ledger notes).
    """

    id: str
    type: str
    subject: str
    time_ms: int
    entry: bytes
    consumer_id: str | None
    provider_id: str | None


def new_event(
    log_id: str,
    origin: str,
    kind: str,
    subject: str,
    data: JSONObject,
    *,
    consumer_id: str | None = None,
    provider_id: str | None = None,
    time_ms: int | None = None,
) -> Event:
    """Build the event `exchange.<kind>` about `subject`; entries never hold personal data.

    Raises BadInput for one that no entry bundle could hold (C2SP tlog-tiles: 65,535 bytes).
    """
    event_id = new_id("evt", log_id)
    time_ms = now_ms() if time_ms is None else time_ms
    entry = canonical.encode(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": f"urn:exchange:log:{origin}",
            "type": f"exchange.{kind}",
            "subject": subject,
            "time": rfc3339(time_ms),
            "datacontenttype": "application/json",
            "dataschema": f"urn:exchange:schema:{kind}",
            "nonce": random_bytes(16).hex(),
            "data": data,
        }
    )
    if len(entry) > MAX_ENTRY:
        raise BadInput("entry_too_large", "What the log would say of this is too long.", status=413)
    return Event(event_id, f"exchange.{kind}", subject, time_ms, entry, consumer_id, provider_id)


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row."""

    table: Table
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for a row that must still be at `rev`; its rev grows by one."""

    table: Table
    id: str
    rev: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Delete:
    """The rows with these values go, if any: of what is derived, since the rest is kept."""

    table: Table
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spend:
    """Add `amount` to a counter unless it would pass `ceiling`."""

    key: str
    amount: int
    ceiling: int


@dataclass(frozen=True, slots=True)
class Once:
    """Do this write only if `key` was not met before `expires_ms`; else answer its outcome."""

    key: str
    expires_ms: int
    outcome: JSONObject | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """All or nothing. `reads` names the rev of every row that the decision saw."""

    events: Sequence[Event] = ()
    reads: Mapping[RowKey, int] = field(default_factory=dict)
    inserts: Sequence[Insert] = ()
    updates: Sequence[Update] = ()
    deletes: Sequence[Delete] = ()  # before the inserts; a row with a rev guards what they derive
    spends: Sequence[Spend] = ()
    once: Sequence[Once] = ()
    unless: Sequence[str] = ()  # once keys that, if met, answer instead; this write sets none
    forgets: Sequence[str] = ()  # once keys that this write frees, such as a revoked grant's
    replaces: Sequence[Once] = ()  # once keys set whether they stand or not, such as a renewal's


@dataclass(frozen=True, slots=True)
class Committed:
    """The write is durable, its checkpoint kept and released."""

    first_index: int
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True)
class Met:
    """A once key had been met: nothing was written; this is the first outcome."""

    key: str
    outcome: JSONObject | None


class Stale(Exception):
    """A row that the decision read has changed since: decide again past all caches."""

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__("stale: " + ", ".join(f"{table} {row}" for table, row in rows))
        self.rows = rows


class Exhausted(Exception):
    """A counter would pass its ceiling."""

    def __init__(self, key: str, value: int, ceiling: int) -> None:
        super().__init__(f"{key} stands at {value} of {ceiling}")
        self.key, self.value, self.ceiling = key, value, ceiling


Outcome = Committed | Met | Stale | Exhausted
