"""Once keys under which a request answers again, and until when."""

import hashlib
from collections.abc import Mapping

from exchange.access.acts import NEVER_MS
from exchange.access.model import Answer, Ask
from exchange.clock import DAY_MS
from exchange.formats import canonical
from exchange.ledger.write import Once, RowKey
from exchange.policy.model import Decision


def ask_once(
    decision: Decision,
    ask: Ask,
    ask_key: str,
    version: int,
    request_id: str,
    reads: Mapping[RowKey, int],
    now: int,
) -> Once:
    """Return the key under which asking again finds this answer, and until when.

    A permit stands until its grant ends (revoking frees the key), a pending request until it is
    settled and while the offering's version does. A denial stands for a day and only while nothing
    that it rests on has changed, so a remedy followed is a new question.
    """
    outcome = {"id": request_id}
    if decision.outcome == "permit":
        return Once(ask_key, now + decision.obligations["days"] * DAY_MS, outcome)
    if decision.outcome == "needs_approval":
        return Once(pending_key(ask_key, version), NEVER_MS, outcome)
    basis = [ask.days, *sorted(f"{table.name}:{row}:{rev}" for (table, row), rev in reads.items())]
    digest = hashlib.sha256(canonical.encode(basis)).hexdigest()
    return Once(f"{ask_key}:denied:{digest}", now + DAY_MS, outcome)


def pending_key(ask_key: str, version: int) -> str:
    """Return the once key of a request that waits, which it does for one version's terms."""
    return f"{ask_key}:pending:{version}"


def refused_key(ask_key: str, version: int) -> str:
    """Return the once key under which people's refusal answers a token request that asks again."""
    return f"{ask_key}:refused:{version}"


def revoked_key(ask_key: str) -> str:
    """Return the once key under which a revoked grant answers a token request that asks again.

    Until the grant would have ended, whatever the offering's version: a program that asks every few
    minutes must not get back at once what people took away. POST /v1/access-requests asks anew.
    """
    return f"{ask_key}:revoked"


def refused_once(held: Answer, now: int) -> list[Once]:
    """Return the key of a request that was rejected or lapsed: for a day it answers a poll.

    A program that asks at the token endpoint again and again learns so that nobody will say yes,
    where it would ask anew otherwise. POST /v1/access-requests asks anew.
    """
    if held.renews is not None:
        return []
    key = refused_key(held.ask.key(held.client_id), held.offering_version)
    return [Once(key, now + DAY_MS, {"id": held.request_id})]


def waits_under(held: Answer) -> str:
    """Return the once key under which a pending request stands, to be freed when it is settled."""
    if held.renews is not None:
        return renewal_key(held.renews, held.offering_version)
    return pending_key(held.ask.key(held.client_id), held.offering_version)


def renewal_key(grant_id: str, version: int) -> str:
    """Return the once key of a renewal that waits: one a grant, for one version's terms."""
    return f"renew:{grant_id}:pending:{version}"
