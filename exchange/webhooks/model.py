"""Webhooks: pure types and rules."""

from dataclasses import dataclass
from typing import Literal

from exchange.clock import DAY_MS

Status = Literal["active", "paused", "removed"]

FIRST_WAIT_MS, LONGEST_WAIT_MS = 1_000, 3_600_000
GIVE_UP_MS = 3 * DAY_MS  # of failures without a success between


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where an organisation wants the leaves that concern it, and how far delivery has come.

    Whoever holds the lease delivers: one process of many. `next_index` is the leaf to be sent next,
    or one that does not concern the organisation before it.
    """

    id: str
    org_id: str
    url: str
    status: Status
    next_index: int
    kinds: list[str]  # what its leaves' types begin with; empty: all
    failures: int
    last_error: str | None  # a code, of the newest attempt; None: it was taken
    failing_since_ms: int | None
    next_try_ms: int
    lease_by: str
    lease_until_ms: int
    rev: int
    created_ms: int


def wait_ms(failures: int, chance: float) -> int:
    """Return how long to wait after so many failures in a row: 1 s, doubled up to 1 h.

    `chance` from 0 to 1 takes up to half of it away, so that receivers that fell together are not
    all asked again together.
    """
    longest = min(FIRST_WAIT_MS << min(failures - 1, 30), LONGEST_WAIT_MS)
    return int(longest * (1 - chance / 2))


def is_given_up(failing_since_ms: int, now_ms: int) -> bool:
    """Whether it has failed for so long that it is paused."""
    return now_ms - failing_since_ms >= GIVE_UP_MS
