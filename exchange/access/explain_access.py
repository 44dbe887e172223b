"""Would I get this, and what would make it a yes? Asked before asking: no leaf, no trace.

The policy is asked about a request that nobody made, over what the requester can change: purpose,
actions, days, and how well its attributes are shown. Then the remedies are followed, to say which
changes together would make it a yes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exchange.access.model import Ask, policy_input
from exchange.access.request_access import Desk, decide, load_parties
from exchange.catalog.model import Terms
from exchange.clock import now_ms
from exchange.errors import BadInput
from exchange.http import Caller
from exchange.participants.declared import check_value
from exchange.participants.model import Attribute, Evidence, Organisation
from exchange.policy.model import Decision, Outcome, Remedy

ROUNDS = 6  # stating an attribute can bring up the next one, and its evidence after it


@dataclass(frozen=True, slots=True)
class Supposed:
    """An attribute as it might be: a value where none is known yet, or better evidence."""

    value: str | int | None
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision as things are, the changes that would help, and the decision after them.

    `asks_for` are the offering's terms: text to accept, fields to fill in. `after` is None where a
    change cannot be tried out: an attribute that is not stated yet.
    """

    decision: Decision
    asks_for: Terms
    changes: Sequence[Remedy] = field(default_factory=tuple)
    after: Outcome | None = None


async def explain_access(
    desk: Desk, caller: Caller, ask: Ask, supposed: Mapping[str, Supposed]
) -> Explanation:
    """Decide a request that nobody made; raises NotFound, BadInput, Forbidden, Unavailable."""
    parties = await load_parties(desk, caller, ask.offering_id, fresh=True)
    consumer = _suppose(parties.consumer, supposed)
    now = now_ms()

    async def decided(consumer: Organisation, ask: Ask) -> Decision:
        document = policy_input(now, consumer, parties.provider, parties.offering, ask)
        return await decide(desk.policy, document)

    terms = parties.offering.terms
    first = decision = await decided(consumer, ask)
    followed: dict[tuple[str, str], Remedy] = {}
    for _ in range(ROUNDS):
        if decision.outcome != "deny" or not decision.remedies:
            break
        is_known = True
        for remedy in decision.remedies:
            followed[(remedy.code, str(remedy.params.get("attribute", "")))] = remedy
            changed = _follow(remedy, consumer, ask)
            if changed is None:
                is_known = False  # the others of this round are named all the same
            else:
                consumer, ask = changed
        if not is_known:
            return Explanation(first, terms, tuple(followed.values()), None)
        decision = await decided(consumer, ask)
    return Explanation(first, terms, tuple(followed.values()), decision.outcome)


def _suppose(consumer: Organisation, supposed: Mapping[str, Supposed]) -> Organisation:
    """Return the organisation as it might be; what is known of it is not supposed otherwise."""
    attributes = dict(consumer.attributes)
    for name, what in supposed.items():
        held = attributes.get(name)
        if held is not None and what.value not in (None, held.value):
            raise BadInput(
                "attribute_stated",
                f"{name} is stated already: suppose better evidence for it, not another value.",
                status=422,
            )
        value = held.value if held is not None else what.value
        if value is None:
            raise BadInput(
                "attribute_unknown", f"{name} is not stated: suppose a value.", status=422
            )
        check_value(name, value)
        evidence = what.evidence or (held.evidence if held is not None else "self_declared")
        attributes[name] = Attribute(value, evidence, held.version if held is not None else 0)
    return replace(consumer, attributes=attributes)


def _follow(remedy: Remedy, consumer: Organisation, ask: Ask) -> tuple[Organisation, Ask] | None:
    """Do as a remedy says; None where only the requester knows what that would be."""
    params: Mapping[str, Any] = remedy.params
    match remedy.code:
        case "choose_purpose":
            return consumer, replace(ask, purpose=params["purposes"][0])
        case "choose_action":
            return consumer, replace(ask, actions=tuple(params["actions"]))
        case "shorten_duration":
            return consumer, replace(ask, days=params["max_days"])
        case "raise_evidence":
            held = consumer.attributes[params["attribute"]]
            better = {params["attribute"]: replace(held, evidence=params["level"])}
            return replace(consumer, attributes={**consumer.attributes, **better}), ask
        case _:
            return None
