"""Structured logs: one JSON object a line, on standard error, without secrets.

Nothing of a request is logged but its route, never its path, query, headers or body. Exceptions
show their types and where they arose: messages may hold what was sent. For the same reason other
packages' loggers show the first line of what they say and, whatever the level, no debugging:
Authlib's would print every token that it issues.
"""

import json
import logging
import sys
import traceback
from pathlib import PurePath
from typing import Any

from exchange.clock import now_ms, rfc3339

FIELDS = (
    *("request_id", "method", "route", "status", "milliseconds", "client_id", "code"),
    *("claimed_client_id", "address"),  # of a request at /oauth/ that was refused
    "connection_id",
    *("leaf_index", "looked", "placed", "lifted", "failed"),  # of a pass that decides grants anew
)
FRAMES = 6
LONGEST = 500


class JSONLines(logging.Formatter):
    """One line a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, Any] = {
            "time": rfc3339(now_ms()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage().partition("\n")[0][:LONGEST],
        }
        line.update({name: getattr(record, name) for name in FIELDS if hasattr(record, name)})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = _causes(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def _causes(error: BaseException | None) -> list[dict[str, Any]]:
    """Return types and places of an error and its causes, the innermost frame first."""
    chain: list[dict[str, Any]] = []
    while error is not None and len(chain) < 8:
        frames = traceback.extract_tb(error.__traceback__)[: -FRAMES - 1 : -1]
        places = [f"{PurePath(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        chain.append({"type": type(error).__name__, "at": places})
        error = error.__cause__ or error.__context__
    return chain


def set_up_logging(level: str) -> None:
    """Send every logger's lines through one handler; `level` is for the exchange's own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONLines())
    own = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=max(own, logging.INFO), handlers=[handler], force=True)
    for name in ("exchange", "connectors"):
        logging.getLogger(name).setLevel(own)
    logging.getLogger("uvicorn.access").disabled = True  # it logs paths and queries
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
