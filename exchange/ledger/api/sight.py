"""Which entries of the log a caller may read: an auditor those that its engagements cover."""

from exchange.errors import Forbidden
from exchange.http import Caller

HINT = "Ask the operator for one: GET /v1/engagements lists yours."


def sight_in_log(caller: Caller) -> frozenset[str] | None:
    """Return the organisations whose entries it may read; None means all.

    Raises Forbidden for an auditor without an engagement: an empty list would mislead.
    """
    if caller.sight == frozenset():
        raise Forbidden("engagement_missing", "You have no active engagement.", hint=HINT)
    return caller.in_sight


def assert_sees_whole_log(caller: Caller) -> None:
    """Raise Forbidden unless the whole log is open to it: a bundle holds everybody's entries."""
    if sight_in_log(caller) is not None:
        raise Forbidden(
            "engagement_too_narrow",
            "Entry bundles hold everybody's entries; your engagements name some organisations.",
            hint="List or export what you may see, or ask the operator for the whole log.",
        )
