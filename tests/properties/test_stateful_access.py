"""Whatever anybody does in whatever order: states, leaves and deliveries follow a small model.

Never a delivery or a token outside an active grant, so never under a hold; never a state without
its leaf (but a grant's end, whose leaf follows the clock), never a leaf without its state: the
judge looks after every step. Nor does a grant's end ever come earlier, or its version become older,
but by revoking it; nor does an approval count for a form that it did not see.
`STATEFUL_EXAMPLES` is how many stories are told on each database.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from exchange.access.chase_requests import chase_requests
from exchange.access.store import REQUESTS
from exchange.catalog.form import FormField
from exchange.clock import now_ms
from exchange.errors import Conflict
from exchange.ledger.write import Update, Write
from tests.support.access_model import Grant, Offering, Request
from tests.support.grant_rules import NEWEST, GrantRules

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "10"))
STEPS = 40
PURPOSES = ("logistics_planning", "scientific_research")
FORM = (FormField("use", "text", "Use", "用途"),)
FIRST = {"use": "statistics"}
has_requests = precondition(lambda self: self.model.requests)
has_pending = precondition(lambda self: self.pending())


class Story(GrantRules):
    """One platform with three people, one SME, and all that they do to each other."""

    def pending(self):
        return [r for r in self.model.requests.values() if r.status == "pending_approval"]

    def likely_pending(self, n: int) -> Request:
        """One of those that wait, or now and then any."""
        waiting = self.pending()
        return self.request(n) if n == 3 or not waiting else waiting[-1 - n % len(waiting)]

    def note(self, answer, offering: Offering) -> Request:
        """Take what the exchange answered, after the model has said that it may."""
        known = self.model.requests.get(answer.request_id)
        if known is None:
            ask = answer.ask
            known = Request(
                *(answer.request_id, offering, ask.purpose, answer.status),
                *(ask.days, dict(ask.form), answer.offering_version),
            )
            self.model.requests[known.id] = known
        known.status, known.waits_for = answer.status, answer.waits_for
        known.renews = answer.renews
        if answer.grant is not None:
            known.grant = answer.grant.id
        return known

    def note_grant(self, grant, offering: Offering, purpose: str) -> None:
        """Take a grant that was made or prolonged."""
        known = self.model.grants.get(grant.id)
        if known is None:
            known = Grant(grant.id, offering, purpose, grant.offering_version, grant.ends_ms)
            self.model.grants[grant.id] = known
        assert grant.ends_ms >= known.ends_ms
        known.version, known.ends_ms = grant.offering_version, grant.ends_ms

    # ---- offerings

    @initialize()
    def what_there_is(self):
        """Two grants and a request that waits: stories begin where they become interesting."""
        for approvers in (0, 1, 2):
            self.publish(approvers)
            self.ask_for(self.model.offerings[-1], PURPOSES[0])
        self.approve_as(self.request(1), self.people[0])
        self.approve_around_an_answer(self.request(0), same=False)

    @precondition(lambda self: len(self.model.offerings) < 5 and not self.around())
    @rule(approvers=st.integers(0, 3))
    def publish_another(self, approvers):
        self.publish(approvers)

    def publish(self, approvers):
        approval = "provider" if approvers else "automatic"
        wanted = {"approval": approval, "approvers": approvers or 1, "form": FORM}
        made = self.run(self.world.publish(**wanted))
        self.model.offerings.append(Offering(made.id, approvers))

    @precondition(lambda self: len(self.model.offerings) > 3)
    @rule(n=NEWEST)
    def withdraw_offering(self, n):
        offering = self.offering(n)
        self.world.offering = self.run(self.parts.catalog.offering(offering.id))
        self.run(self.world.withdraw())
        offering.status = "withdrawn"

    @rule(n=NEWEST)
    def publish_anew(self, n):
        """The next version: what waits or was granted is of the version that it saw."""
        offering = self.offering(n)
        self.world.offering = self.run(self.parts.catalog.offering(offering.id))
        refused = self.refused(self.world.revise(title_en=f"Flights {offering.version}"))
        assert refused == (offering.status == "withdrawn" or self.model.is_held(offering.id))
        offering.version += not refused

    # ---- requests

    @rule(n=NEWEST, purpose=st.sampled_from(PURPOSES))
    def ask(self, n, purpose):
        self.ask_for(self.offering(n), purpose)

    @has_requests
    @rule(n=NEWEST)
    def ask_the_same(self, n):
        request = self.request(n)
        self.ask_for(request.offering, request.purpose)

    def ask_for(self, offering, purpose):
        model = self.model
        stands = model.standing(offering, purpose)
        asked = {"offering_id": offering.id, "purpose": purpose, "form": FIRST}
        if isinstance(stands, Request) and (stands.days, stands.form) != (30, FIRST):
            assert self.refused(self.world.ask(**asked))
            return
        answer = self.run(self.world.ask(**asked))
        if isinstance(stands, Grant):
            assert answer.grant is not None
            assert answer.grant.id == stands.id
        elif stands is not None:
            assert answer.request_id == stands.id
        elif model.refuses(offering):
            assert (answer.status, answer.grant) == ("denied", None)
        else:
            assert answer.status == ("pending_approval" if offering.approvers else "permitted")
        self.note(answer, offering)
        if answer.grant is not None and answer.grant.id not in model.grants:
            assert stands is None
            self.note_grant(answer.grant, offering, purpose)

    @has_pending
    @rule(n=NEWEST)
    def ask_back(self, n):
        request = self.likely_pending(n)
        work = self.world.act("ask", request.id, self.people[0], "Why?")
        assert self.refused(work) == (request.status != "pending_approval")
        if request.status == "pending_approval":
            request.waits_for = "consumer"

    @has_pending
    @rule(n=NEWEST, use=st.sampled_from([None, "statistics", "resale"]))
    def answer(self, n, use):
        self.answer_with(self.likely_pending(n), None if use is None else {"use": use})

    def answer_with(self, request, form):
        """With the form as it was, or with another: then approvals are given anew."""
        work = self.world.act("answer", request.id, self.world.sme, "So.", form=form)
        assert self.refused(work) == (request.waits_for != "consumer")
        if request.waits_for == "consumer":
            request.waits_for = "provider"
            if form is not None and form != request.form:
                request.form, request.approved_by = form, set()

    @has_pending
    @rule(n=NEWEST, same=st.booleans())
    def approve_before_and_after(self, n, same):
        """Two people's approvals are of one form, or they are not two."""
        several = [request for request in self.pending() if request.offering.approvers > 1]
        request = several[-1 - n % len(several)] if several else self.likely_pending(n)
        self.approve_around_an_answer(request, same)

    def approve_around_an_answer(self, request, same):
        self.approve_as(request, self.people[0])
        if request.status == "pending_approval":
            self.run(self.world.act("ask", request.id, self.people[1], "Why?"))
            request.waits_for = "consumer"
            other = {"resale": "statistics"}.get(request.form.get("use", ""), "resale")
            self.answer_with(request, request.form if same else {"use": other})
            self.approve_as(request, self.people[1])

    @has_pending
    @rule(n=NEWEST, what=st.sampled_from(["reject", "withdraw"]), again=st.booleans())
    def settle(self, n, what, again):
        request = self.likely_pending(n)
        if again and request.offering.approvers > 1:  # one approved, another refuses
            self.approve_as(request, self.people[0])
        by = self.people[1] if what == "reject" else self.world.sme
        was_pending = request.status == "pending_approval"
        assert self.refused(self.world.act(what, request.id, by, "No.")) != was_pending
        if was_pending:
            request.status = "rejected" if what == "reject" else "withdrawn"
            request.waits_for = None
        if again and what == "reject":
            self.try_to_appeal(request)
            self.approve_as(request, self.people[2])
        elif again:
            self.ask_for(request.offering, request.purpose)

    @has_requests
    @rule(n=NEWEST)
    def appeal(self, n):
        self.try_to_appeal(self.request(n))

    def try_to_appeal(self, request):
        renewed = self.model.grants.get(request.renews or "")
        revoked = renewed is not None and renewed.state == "revoked"
        waits_anew = request.status in ("rejected", "lapsed") and not revoked
        taken = request.status == "denied"
        if request.grant is not None:
            state = self.model.counts_as(self.model.grants[request.grant])
            taken = taken or state in ("revoked", "suspended")
        blocked = waits_anew and self.model.blocks(request)
        if waits_anew and renewed is not None and renewed.state == "active":
            blocked = blocked or self.model.takes_back(request, now_ms()) is not None
        refused = self.refused(self.world.act("appeal", request.id, self.world.sme, "Yes."))
        assert refused == (blocked or not (waits_anew or taken))
        if waits_anew and not refused:
            request.status, request.waits_for = "pending_approval", "provider"
            request.approved_by = set()

    @has_pending
    @rule(n=NEWEST, person=st.integers(0, 2))
    def approve(self, n, person):
        """A second time is no second word."""
        request = self.likely_pending(n)
        for _ in range(2):
            self.approve_as(request, self.people[person])

    @has_pending
    @rule(n=NEWEST)
    def approve_as_all(self, n):
        """What a grant takes, in one step: stories that need grants are dense."""
        waiting = self.pending()
        self.approve_in_turn(waiting[-1 - n % len(waiting)])

    def approve_in_turn(self, request):
        for who in self.people:
            if request.status == "pending_approval":
                self.approve_as(request, who)

    def approve_as(self, request, who):
        model, offering = self.model, request.offering
        pending, again = request.status == "pending_approval", who.member_id in request.approved_by
        stands = model.standing(offering, request.purpose)
        complete = len(request.approved_by) + 1 >= offering.approvers
        permits = complete and not model.refuses(offering)
        renewed = model.grants.get(request.renews or "")
        prolongs = renewed is not None and renewed.state == "active"
        back = None
        if permits and renewed is not None and renewed.state != "ended":
            back = model.takes_back(request, now_ms())
        held = prolongs and model.counts_as(renewed) == "suspended"
        held = held and (permits or model.refuses(offering))
        taken = isinstance(stands, Grant) and permits and not prolongs
        around = model.is_held(offering.id, model.consumer, model.provider)
        try:
            done = self.run(self.world.approve(request.id, who))
        except Conflict as conflict:
            code = conflict.code
            expected = "granted_already" if taken else None
            expected = "grant_suspended" if held else back or expected
            expected = "held_for_now" if around else expected
            assert not again
            assert code == (expected if pending else "request_settled")
            return
        if not pending or again:
            assert again
            assert done.receipt is None
            return
        assert not held
        assert not back
        assert not taken
        assert not around
        request.approved_by.add(who.member_id)
        if model.refuses(offering):
            assert done.answer.status == "denied"
        elif not complete:
            assert done.answer.status == "pending_approval"
        else:
            assert done.answer.status == "approved"
            grant = done.answer.grant
            assert (grant.id == request.renews) == prolongs
            self.note_grant(grant, offering, request.purpose)
        self.note(done.answer, offering)

    @has_pending
    @rule(n=NEWEST)
    def nobody_answers(self, n):
        waiting = self.pending()
        request = waiting[-1 - n % len(waiting)]
        held = self.run(self.parts.store.held(request.id, self.world.operator))
        late = Update(REQUESTS, request.id, held.rev, {"until_ms": now_ms() - 1})
        self.run(self.parts.ledger.commit(Write(updates=[late])))
        assert self.run(chase_requests(self.parts.desk)) >= 1
        request.status, request.waits_for = "lapsed", None


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgres", marks=pytest.mark.postgres),
    ],
)
def test_every_story_ends_well(kind):
    machine = type("StoryOn" + kind, (Story,), {"kind": kind})
    case = machine.TestCase
    case.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize="STATEFUL_EXAMPLES" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()
