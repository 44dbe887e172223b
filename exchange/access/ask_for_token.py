"""A token request is an access request: the same walk, with the client's proofs used up by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exchange.access.authorize_grant import GrantTerms, details_of
from exchange.access.endings import Closing, Endings
from exchange.access.model import Answer, Ask
from exchange.access.request_access import Desk, asked_before, take_walk
from exchange.http import Caller
from exchange.ledger.write import Met, Once, RowKey


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What a token request for an offering came to.

    `is_spent` says whether the once keys went along. `terms` are there where a grant was given just
    now; a grant that stands already is the answer's, and the policy has yet to be asked about it.
    """

    answer: Answer
    is_spent: bool
    terms: GrantTerms | None
    closing: Closing | None
    offering_rev: int  # of the offering's row that the walk saw


async def ask_for_token(
    desk: Desk,
    caller: Caller,
    kind: str,
    ask: Ask,
    once: Sequence[Once],
    reads: Mapping[RowKey, int],
    *,
    fresh: bool,
) -> AskedFor | Met:
    """Take one walk; returns Met where one of `once` had been used.

    `kind` is the offering's, as the client takes it to be. Raises Stale, and what `request_access`
    raises.
    """
    options: Any = {"fresh": fresh, "polls": True, "kind": kind}
    walked = await take_walk(desk, caller, ask, lambda _: once, reads, **options)
    rev = walked.parties.offering.rev
    if isinstance(walked.result, Met):
        if walked.result.key in {each.key for each in once}:
            return walked.result
        answer = await asked_before(desk, caller, walked.ask, walked.result)
        closing = (await Endings(desk.ledger).closings([answer])).get(answer.request_id)
        return AskedFor(answer, False, None, closing, rev)
    answer = walked.record.answer(walked.result.first_index, walked.result.receipts[0])
    grant, terms = answer.grant, None
    if grant is not None:  # what it rests on was committed with it
        details = [details_of(grant, kind)]
        terms = GrantTerms(
            *(grant.id, grant.offering_id, grant.ends_ms, details, {}),
            *(grant.provider_id, grant.status_index),
        )
    return AskedFor(answer, True, terms, None, rev)
