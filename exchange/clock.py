"""Time: UTC milliseconds in storage, RFC 3339 in JSON."""

import re
import time
from datetime import UTC, datetime

DAY_MS = 86_400_000
RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_ms() -> int:
    """Wall clock, UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """Write UTC milliseconds as RFC 3339 with milliseconds and `Z`."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Return the first whole millisecond that is not before a moment written like RFC3339.

    Raises ValueError for one that no calendar has.
    """
    try:
        since_1970 = datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)) - _EPOCH
    except OverflowError as error:
        raise ValueError("beyond the calendar") from error
    microseconds = (since_1970.days * 86_400 + since_1970.seconds) * 1_000_000
    return -(-(microseconds + since_1970.microseconds) // 1000)
