"""Structured logs: one JSON object a line, on standard error, without secrets.

Nothing of a request is logged but its route, never its path, query, headers or body; database
errors come without their parameters (db.py). Exceptions show their type and where they arose.
"""

import json
import logging
import sys
import traceback
from typing import Any

from exchange.clock import now_ms, rfc3339

FIELDS = ("request_id", "method", "route", "status", "milliseconds", "client_id", "code")


class JSONLines(logging.Formatter):
    """One line a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, Any] = {
            "time": rfc3339(now_ms()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in FIELDS if hasattr(record, name)})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = _causes(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _causes(error: BaseException | None) -> list[dict[str, str]]:
    """Return types and places of an error and its causes: messages may hold what was sent."""
    chain: list[dict[str, str]] = []
    while error is not None and len(chain) < 8:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
        chain.append({"type": type(error).__name__, "at": place})
        error = error.__cause__ or error.__context__
    return chain


def set_up_logging(level: str) -> None:
    """Send every logger's lines through one handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn.access").disabled = True  # it logs paths and queries
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
