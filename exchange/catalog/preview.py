"""What a dataset looks like before it is asked for: its files' schemas, and a sample of rows.

Both are kept with the version at whose publication they were read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from exchange.catalog.model import Offering, Table
from exchange.catalog.tables import OfferingPreviewRow
from exchange.db import Database
from exchange.errors import NotFound
from exchange.ledger.write import Insert

PREVIEWS = OfferingPreviewRow.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Preview:
    """A version's schemas, a file each, and its samples (`{name, columns, rows}`)."""

    tables: Sequence[Mapping[str, Any]]
    samples: Sequence[Mapping[str, Any]]


def preview_rows(offering: Offering, tables: Sequence[Table]) -> list[Insert]:
    """Return the row that a publication keeps of what was read; none where nothing was."""
    if not tables:
        return []
    most = offering.terms.rows_shown
    row = {
        "offering_id": offering.id,
        "version": offering.version,
        "tables": [
            {
                "name": table.name,
                "format": table.format,
                "columns": [dict(column) for column in table.columns],
                "column_count": table.column_count,
                "row_count": table.row_count,
            }
            for table in tables
        ],
        "samples": [
            {"name": t.name, "columns": t.sample["columns"], "rows": t.sample["rows"][:most]}
            for t in tables
            if most and t.sample
        ],
    }
    return [Insert(PREVIEWS, row)]


async def read_preview(db: Database, offering_id: str, version: int) -> Preview:
    """Return what was kept of a version, read now; raises NotFound where nothing was."""
    query = select(PREVIEWS.c.tables, PREVIEWS.c.samples).where(
        PREVIEWS.c.offering_id == offering_id, PREVIEWS.c.version == version
    )
    row = await db.point(lambda c: c.execute(query).one_or_none())
    if row is None:
        raise NotFound(
            "schema_unknown",
            "No schema could be read of this version.",
            hint="Schemas are read of Parquet, Arrow, CSV and JSON Lines files.",
        )
    return Preview(row.tables, row.samples)


def shown_samples(preview: Preview, offering: Offering) -> list[dict[str, Any]]:
    """Return the samples that may be shown; raises NotFound where there is none, or for now none.

    The rows were chosen at publication; asking the terms again here keeps a row that should not
    have been kept from being shown.
    """
    most = offering.terms.rows_shown
    shown = [{**each, "rows": each["rows"][:most]} for each in preview.samples if each["rows"]]
    if offering.standing != "published" or not most or not shown:
        raise no_sample()
    return shown


def no_sample() -> NotFound:
    """Return the error for a version of which no rows are shown."""
    return NotFound(
        "sample_unknown",
        "No sample of rows is shown of this version.",
        hint="Its schema may be: GET …/schema.",
    )
