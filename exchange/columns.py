"""Columns that every table needs: 64-bit integers, texts in one order, and JSON."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Integer, String


def big(**options: Any) -> Any:
    """Return a column of 64-bit integers, such as times in UTC milliseconds; never null."""
    return Column(BigInteger, nullable=False, **options)


def code_points(**options: Any) -> Any:
    """Return a column of texts that sort by their code points, whatever the database's language."""
    text = String().with_variant(String(collation="C"), "postgresql")
    return Column(text, nullable=False, **options)


def count() -> Any:
    """Return a column that counts other rows; a new row begins with none."""
    return Column(Integer, nullable=False, server_default="0")


def json_document() -> Any:
    """Return a column that holds a JSON document; never null."""
    return Column(JSON, nullable=False)
