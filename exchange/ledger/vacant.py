"""Random numbers for rows, each unique among rows that share some columns: drawn, then looked up.

Under the log's lock nobody else takes a number meanwhile, so what is drawn here needs no second try
later. Numbers come from a small space while it has room, so that lists of them stay short.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table

from exchange.chance import random_bytes
from exchange.ledger.bulk import among, listed
from exchange.ledger.write import Vacant

SPACES: Final = (20,) * 4 + (24,) * 12
"""Bits of the space of each try: where four tries meet taken ones, the larger one is due."""

Row = dict[str, Any]


class NoneVacant(Exception):
    """Every number that was drawn is taken: the write fails."""


def fill_vacant(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Put numbers in the place of each Vacant of `rows`; raises NoneVacant."""
    asking: dict[tuple[str, tuple[str, ...], tuple[Any, ...]], list[Row]] = {}
    for row in rows:
        for name, value in row.items():
            if type(value) is Vacant:
                group = tuple(row[column] for column in value.within)
                asking.setdefault((name, value.within, group), []).append(row)
    for (name, within, group), waiting in asking.items():
        _fill(connection, _taken(connection, table, within, name), group, name, waiting)


def _fill(
    connection: Connection, query: str, group: tuple[Any, ...], name: str, waiting: list[Row]
) -> None:
    given = set[int]()
    for bits in SPACES:
        drawn: dict[int, Row] = {}
        for row in waiting:
            number = int.from_bytes(random_bytes(4)) >> (32 - bits)
            if number not in given:
                drawn[number] = row
                given.add(number)
        found = connection.exec_driver_sql(query, (*group, listed(connection, drawn)))
        taken = {number for (number,) in found}
        for number, row in drawn.items():
            if number not in taken:
                row[name].value = row[name] = number
        waiting = [row for row in waiting if type(row[name]) is Vacant]
        if not waiting:
            return
    raise NoneVacant(f"no {name} is left")


def _taken(connection: Connection, table: Table, within: tuple[str, ...], name: str) -> str:
    """Return the query for those of some numbers that a group has: each a look-up in the index."""
    place = "?" if connection.dialect.name == "sqlite" else "%s"
    where = " AND ".join(f"{table.c[column].name} = {place}" for column in within)
    which = f"{where} AND {among(connection, name)}"
    return f"SELECT {name} FROM {table.name} WHERE {which}"  # noqa: S608  names of a class of ours
