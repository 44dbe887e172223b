"""Reject, ask back, answer, comment, withdraw, appeal: one verb, by the rules of acts.py."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exchange.access.acts import MAX_STEPS, PENDING, RULES, SETTLING, Act, after
from exchange.access.approve_request import Done
from exchange.access.keys import refused_once, waits_under
from exchange.access.model import Answer
from exchange.access.record_decision import form_commitment, salted_form
from exchange.access.record_step import moved, record_step
from exchange.access.request_access import Desk
from exchange.access.store import REQUESTS
from exchange.catalog.form import Value, check_form
from exchange.clock import now_ms
from exchange.errors import BadInput, Conflict, Forbidden
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import PREFIX, first_outcome, idempotency
from exchange.ledger.write import Committed, Met, Once, Write
from exchange.participants.store import acting

TEXT_NEEDED = ("reject", "ask", "answer", "comment", "appeal")


async def act_on_request(
    desk: Desk,
    caller: Caller,
    request_id: str,
    act: Act,
    text: str,
    form: Mapping[str, Value] | None = None,
    idempotency_key: str | None = None,
) -> Done:
    """Carry out an act; raises BadInput, Forbidden, NotFound, Conflict, Unavailable.

    An answer may bring the form filled in anew: then approvals are given anew, too.
    """
    if act in TEXT_NEEDED and not text.strip():
        raise BadInput("text_missing", f"To {act} takes some words.", status=422)
    body = [act, request_id, text, dict(form or {})]
    kept = idempotency(caller.client_id, idempotency_key, body, request_id)

    async def build() -> Write:
        held = await desk.store.held(request_id, caller)
        check_side(act, caller, held)
        await _check_room(desk, caller, request_id, act)
        write = await _step(desk, caller, held, act, text, form)
        return replace(write, reads={**write.reads, **acting(caller)}, once=[*kept, *write.once])

    _, result = await commit_fresh(desk.ledger, build, kept)
    if isinstance(result, Met):
        if not result.key.startswith(PREFIX):
            raise Conflict("asked_anew", "The same was asked anew meanwhile: see that request.")
        first_outcome(result, body)
    answer = await desk.store.held(request_id, caller)
    return Done(answer, result.receipts[0] if isinstance(result, Committed) else None)


def check_side(act: Act, caller: Caller, held: Answer) -> None:
    """Raise Forbidden unless the caller stands on the side that may act so, with its scope."""
    rule = RULES[act]
    sides = {"consumer": held.consumer_id, "provider": held.provider_id}
    own = [side for side, org_id in sides.items() if org_id == caller.org_id]
    if not own or rule.side not in (None, own[0]):
        who = {"consumer": "the applicant", "provider": "the platform", None: "a party"}[rule.side]
        raise Forbidden("request_not_yours", f"Only {who} may {act}.")
    needed = rule.scope
    if act == "comment":
        needed = "requests" if own[0] == "consumer" else "approvals"
    if needed not in caller.scopes:
        raise Forbidden(
            "scope_missing",
            f"This takes the scope {needed}.",
            hint="On a platform's side people act: members with the role approver."
            if needed == "approvals"
            else None,
        )
    if act == "appeal" and not caller.stands_as("owner", "developer"):
        raise Forbidden("member_role_missing", "A program, an owner or a developer appeals.")


async def _check_room(desk: Desk, caller: Caller, request_id: str, act: Act) -> None:
    """Raise Conflict where a side has said enough; nobody can keep the other from settling."""
    if act in SETTLING:
        return
    comments = act == "comment"
    taken = await desk.store.count_steps(request_id, caller.org_id, comments=comments)
    if taken >= MAX_STEPS:
        what = "comments" if comments else "steps"
        raise Conflict(f"too_many_{what}", f"A side has {MAX_STEPS} {what} in a request at most.")


async def _step(
    desk: Desk,
    caller: Caller,
    held: Answer,
    act: Act,
    text: str,
    form: Mapping[str, Value] | None,
) -> Write:
    now = now_ms()
    terms, _ = await desk.catalog.version(held.ask.offering_id, held.offering_version)
    state = after(act, held, now, terms.answer_days)
    more: dict[str, Any] = {}
    changed: dict[str, Any] = {}
    if act == "answer":
        filled_in = held.ask.form
        if form:
            filled_in = check_form(terms.form, {**held.ask.form, **form})
        if filled_in != held.ask.form:  # what people approved is not what is asked any more
            changed.update(form=salted_form(filled_in), approvals=[])
        more["form_commitment"] = form_commitment(changed.get("form", {}))
    step = (desk.ledger, held, RULES[act].kind, caller, text, now, more)
    event, row = record_step(*step, form_changed="form" in changed)
    if state is None:
        reads = {(REQUESTS, held.request_id): held.rev}
        return Write([event], reads=reads, inserts=[row])
    once: list[Once] = []
    forgets: list[str] = []
    replaces: list[Once] = []
    if held.status == PENDING and state.status != PENDING:
        forgets = [waits_under(held)]
        replaces = refused_once(held, now) if state.status == "rejected" else []
    elif held.status != PENDING:  # it pends again, and answers again whoever asks the same
        changed["approvals"] = []
        once = [Once(waits_under(held), state.until_ms, {"id": held.request_id})]
    update = moved(held, state, **changed)
    return Write(
        [event], inserts=[row], updates=[update], once=once, forgets=forgets, replaces=replaces
    )
