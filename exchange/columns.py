"""What every table needs: columns of 64-bit integers, texts in one order, JSON; partial indexes."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, String, text


def big(**options: Any) -> Any:
    """Return a column of 64-bit integers, such as times in UTC milliseconds; never null."""
    return Column(BigInteger, nullable=False, **options)


def code_points(**options: Any) -> Any:
    """Return a column of texts that sort by their code points, whatever the database's language."""
    kind = String().with_variant(String(collation="C"), "postgresql")
    return Column(kind, nullable=False, **options)


def count() -> Any:
    """Return a column that counts other rows; a new row begins with none."""
    return Column(Integer, nullable=False, server_default="0")


def rows_where(condition: str) -> dict[str, Any]:
    """Return the options of an index that holds only the rows of which a condition is true."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def json_document() -> Any:
    """Return a column that holds a JSON document; never null."""
    return Column(JSON, nullable=False)
