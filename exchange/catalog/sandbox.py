"""A sandbox: an offering that anyone registered may try at once, for a developer's first hour.

The policy does not ask there who somebody is, nor how well that is shown (sandbox.rego). So what a
platform offers like that is harmless, open, small and short, or it is no sandbox.
"""

from collections.abc import Iterator
from typing import Final

from exchange.catalog.model import Terms

TRIAL: Final = "trial"
"""The purpose of a first try; of the policies' list."""

MOST_DAYS: Final = 7
MOST: Final = {"calls": 1_000, "bytes": 1 << 30, "calls_per_minute": 600, "concurrent": 16}
"""Most of each limit: enough for an hour of trying, and nothing to live on."""

MOST_SESSIONS: Final = 100


def check_sandbox(terms: Terms) -> None:
    """Raise ValueError for terms of a sandbox that are not one's, with all that it needs."""
    if terms.sandbox and (lacking := list(_lacking(terms))):
        raise ValueError("a sandbox needs " + "; ".join(lacking))


def _lacking(terms: Terms) -> Iterator[str]:
    if terms.classification != "general":
        yield "classification general"
    if terms.personal_information != "none":
        yield "personal_information none"
    if terms.approval != "automatic" or terms.approvers != 1:
        yield "approval automatic"
    if terms.form:
        yield "no form"
    if terms.terms_digest is not None:
        yield "no terms_en/zh"
    if terms.audience is not None:
        yield "no audience"
    if terms.max_days > MOST_DAYS:
        yield f"max_days <= {MOST_DAYS}"
    if TRIAL not in terms.purposes:
        yield f"purpose {TRIAL}"
    for name in sorted(MOST.keys() & terms.limits.keys()):
        if terms.limits[name] > MOST[name]:
            yield f"limits.{name} <= {MOST[name]}"
    if (terms.max_sessions or 0) > MOST_SESSIONS:
        yield f"max_sessions <= {MOST_SESSIONS}"
    if terms.source.get("delivery", "stream") != "stream":
        yield "delivery stream"
    if terms.kind != "dataset" and "calls" not in terms.limits:
        yield "limits.calls"
    if terms.kind == "dataset" and terms.max_sessions is None and "bytes" not in terms.limits:
        yield "max_sessions or limits.bytes"
