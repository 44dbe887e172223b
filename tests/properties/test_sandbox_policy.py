"""What the flag of a sandbox lifts, over thousands of inputs: who the requester is, and nothing
else; and of what is not harmless nothing at all."""

import copy
from collections import Counter

from exchange.policy import open_engine
from exchange.policy.model import KNOWN_OBLIGATIONS
from tests.support.policy_inputs import documents

LIFTED = {
    "consumer_role_missing",
    "evidence_too_low",
    "jurisdiction_not_allowed",
    "jurisdiction_unknown",
    "size_not_allowed",
    "size_unknown",
}


def flagged(document, flag):
    made = copy.deepcopy(document)
    made["offering"]["sandbox"] = flag
    return made


def harmless(document):
    """The same, about something that may be a sandbox."""
    made = copy.deepcopy(document)
    made["offering"] |= {"classification": "general", "personal_information": "none", "max_days": 7}
    made["request"]["days"] = min(made["request"]["days"], 7)
    return made


def is_harmless(offering):
    kinds = (offering["classification"], offering["personal_information"])
    return kinds == ("general", "none") and offering["max_days"] <= 7


async def test_the_flag_lifts_who_one_is_on_what_is_harmless_and_nothing_elsewhere():
    engine = open_engine("embedded")
    met = Counter()
    made = documents(3_000, seed=20261126)
    for document in [*made, *map(harmless, made[::2])]:
        with_it = await engine.decide(flagged(document, True))
        without = await engine.decide(flagged(document, False))
        if not is_harmless(document["offering"]):
            assert with_it == without, document
            met["lifted nothing", without.outcome] += 1
            continue
        left = tuple(each for each in without.reasons if each.code not in LIFTED)
        if without.outcome != "deny":
            assert with_it == without, document
        elif left:
            assert (with_it.outcome, with_it.reasons) == ("deny", left), document
        else:
            assert with_it.outcome != "deny", document
            if document["offering"]["approval"] == "automatic":
                assert with_it.outcome == "permit", document
            if with_it.outcome == "permit":
                assert with_it.obligations["days"] == document["request"]["days"]
                assert with_it.obligations.keys() <= KNOWN_OBLIGATIONS
            met["lifted", with_it.outcome] += 1
        met["harmless", with_it.outcome] += 1
    assert min(met["lifted nothing", each] for each in ("permit", "deny", "needs_approval")) >= 100
    assert met["lifted", "permit"] >= 50, met
    assert met["harmless", "deny"] >= 50, met


async def test_who_takes_part_is_asked_of_a_sandbox_too():
    engine = open_engine("embedded")
    seen = Counter()
    for document in documents(2_000, seed=7):
        document = flagged(document, True)
        consumer, provider = document["consumer"], document["provider"]
        states = (consumer["status"], provider["status"], document["offering"]["status"])
        if states == ("active", "active", "published") and consumer["id"] != provider["id"]:
            continue
        outcome = (await engine.decide(document)).outcome
        seen[outcome] += 1
    assert seen["deny"] >= 200
    assert set(seen) == {"deny"}, seen
