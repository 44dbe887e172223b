"""Random numbers for rows, each unique among rows that share some columns: drawn, then looked up.

Under the log's lock nobody else takes a number meanwhile, so what is drawn here needs no second try
later. Numbers come from a small space while it has room, so that lists of them stay short.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, select, tuple_

from exchange.chance import random_bytes
from exchange.ledger.write import Vacant

SPACES: Final = (20,) * 4 + (24,) * 12
"""Bits of the space of each try: where four tries meet taken ones, the larger one is due."""

Row = dict[str, Any]


class NoneVacant(Exception):
    """Every number that was drawn is taken: the write fails."""


def fill_vacant(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Put numbers in the place of each Vacant of `rows`; raises NoneVacant."""
    asking: dict[str, list[Row]] = {}
    for row in rows:
        for name, value in row.items():
            if type(value) is Vacant:
                asking.setdefault(name, []).append(row)
    for name, waiting in asking.items():
        _fill(connection, table, name, waiting)


def _fill(connection: Connection, table: Table, name: str, waiting: list[Row]) -> None:
    within = waiting[0][name].within
    given = set[tuple[Any, ...]]()
    for bits in SPACES:
        drawn = {}
        for row in waiting:
            key = (*(row[column] for column in within), _draw(bits))
            if key not in given:
                drawn[key] = row
                given.add(key)
        found = connection.execute(_taken(table, (*within, name)), {"keys": list(drawn)})
        taken = {tuple(row) for row in found}
        for key, row in drawn.items():
            if key not in taken:
                row[name].value = key[-1]
                row[name] = key[-1]
        waiting = [row for row in waiting if type(row[name]) is Vacant]
        if not waiting:
            return
    raise NoneVacant(f"no {name} of {table.name} is left")


def _draw(bits: int) -> int:
    return int.from_bytes(random_bytes(4)) >> (32 - bits)


@cache
def _taken(table: Table, names: tuple[str, ...]) -> Any:
    columns = [table.c[name] for name in names]
    return select(*columns).where(tuple_(*columns).in_(bindparam("keys", expanding=True)))
