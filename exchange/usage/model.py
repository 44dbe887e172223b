"""Sums of use: pure types and rules.

A day is one of UTC+8, the time of China, from midnight to midnight. A session, whose leaf says how
much it was, belongs to the day on which it began.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from exchange.access.allowance import MINUTE_MS
from exchange.clock import DAY_MS
from exchange.errors import BadInput

By = Literal["all", "offering", "grant", "consumer"]
EAST_MS: Final = 8 * 3_600_000
MOST_DAYS: Final = 366
USUAL_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Sums:
    """Sessions, the uses in them, bytes sent, and how uses ended that did not end well.

    `running` have not ended yet; `ended_unknown` never will: their worker was lost. `authorised`
    were sent to the platform's store, whose bytes and ends nobody here can count.
    """

    sessions: int = 0
    uses: int = 0
    sent_bytes: int = 0
    running: int = 0
    ended_unknown: int = 0
    authorised: int = 0


@dataclass(frozen=True, slots=True)
class DaySums:
    """Sums of one day for one offering, grant or consumer; `key` is its id, empty for all."""

    day: date
    key: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of an obligation that counts; `resets_ms` where that comes by the clock."""

    obligation: str
    ceiling: int
    used: int
    resets_ms: int | None = None

    @property
    def left(self) -> int:
        """What may still be used."""
        return max(self.ceiling - self.used, 0)


@dataclass(frozen=True, slots=True)
class GrantUsage:
    """What was used of a grant, and what is left of it."""

    sums: Sums
    last_use_ms: int | None
    allowances: Sequence[Allowance]


def day_of(at_ms: int) -> date:
    """Return the day in UTC+8 of a moment in UTC milliseconds."""
    return (datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(hours=8)).date()


def number_of(day: date) -> int:
    """Return a day's number: whole days of UTC+8 since 1970."""
    return (day - date(1970, 1, 1)).days


def numbered(number: int) -> date:
    """Return the day of a number."""
    return date(1970, 1, 1) + timedelta(days=number)


def begins_ms(day: date) -> int:
    """Return when a day of UTC+8 begins, in UTC milliseconds."""
    return number_of(day) * DAY_MS - EAST_MS


def next_minute_ms(now_ms: int) -> int:
    """Return when the next minute of the clock begins."""
    return (now_ms // MINUTE_MS + 1) * MINUTE_MS


def span(since: date | None, until: date | None, now_ms: int) -> tuple[date, date]:
    """Return the first and last day that are asked for, USUAL_DAYS up to today unless named.

    Raises BadInput (422) for none at all, or for more than MOST_DAYS.
    """
    last = until or max(day_of(now_ms), since or date.min)
    first = since or max(last - timedelta(days=USUAL_DAYS - 1), date(1970, 1, 1))
    if not 1 <= (last - first).days + 1 <= MOST_DAYS or first.year < 1970:
        raise BadInput(
            "days_invalid",
            f"From `since` to `until` it is 1 to {MOST_DAYS} days, since 1970.",
            status=422,
            hint="Ask for a year at a time.",
        )
    return first, last
