"""Which writes of a batch go through: a walk in order, in memory, over what the database said."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from exchange.ledger.write import Exhausted, JSONObject, Met, RowKey, Stale, Write


@dataclass(slots=True)
class Seen:
    """What the database holds of the rows, counters and once keys that a batch names.

    The walk keeps it up to date, so a later write of the batch meets an earlier one's effects.
    """

    revs: dict[RowKey, int] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    once: dict[str, JSONObject | None] = field(default_factory=dict)


def admit(write: Write, seen: Seen) -> Met | Stale | Exhausted | None:
    """Return None and note the write's effects in `seen`, or say why it must not go through."""
    for key in (*(once.key for once in write.once), *write.unless):
        if key in seen.once:
            return Met(key, seen.once[key])
    wanted = {**write.reads, **{(u.table, u.id): u.rev for u in write.updates}}
    changed = [(key[0].name, key[1]) for key, rev in wanted.items() if seen.revs.get(key) != rev]
    if changed:
        return Stale(changed)
    sums: dict[str, int] = {}
    for spend in write.spends:
        value = sums.get(spend.key, seen.counters.get(spend.key, 0))
        if value + spend.amount > spend.ceiling:
            return Exhausted(spend.key, value, spend.ceiling)
        sums[spend.key] = value + spend.amount
    seen.counters.update(sums)
    for update in write.updates:
        seen.revs[(update.table, update.id)] = update.rev + 1
    for insert in write.inserts:
        if "rev" in insert.values:
            seen.revs[(insert.table, insert.values["id"])] = insert.values["rev"]
    for gone in write.deletes:
        if "id" in gone.values:
            seen.revs.pop((gone.table, gone.values["id"]), None)
    for key in write.forgets:
        seen.once.pop(key, None)
    for once in (*write.once, *write.replaces):
        seen.once[once.key] = once.outcome
    return None


def names(batch: Sequence[Write]) -> tuple[set[RowKey], set[RowKey], set[str], set[str]]:
    """Return what a batch names: rows read, rows updated, counters, once keys."""
    reads: set[RowKey] = set()
    updates: set[RowKey] = set()
    counters: set[str] = set()
    once: set[str] = set()
    for write in batch:
        reads.update(write.reads)
        updates.update((u.table, u.id) for u in write.updates)
        counters.update(s.key for s in write.spends)
        once.update(o.key for o in write.once)
        once.update(write.unless)
    return reads, updates, counters, once
