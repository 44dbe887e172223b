"""Whatever anybody does in whatever order: states, leaves and deliveries follow a small model.

Never a delivery outside an active grant, never a state without its leaf (but a grant's end, whose
leaf follows the clock), never a leaf without its state: the judge looks after every step.
`STATEFUL_EXAMPLES` is how many stories are told on each database.
"""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from connectors.gateway.door import DoorRefused, Use
from exchange.access.chase_requests import chase_requests
from exchange.access.revoke_grant import end_grants
from exchange.access.store import GRANTS, REQUESTS
from exchange.clock import DAY_MS, now_ms
from exchange.errors import Conflict
from exchange.ledger.write import Update, Write
from exchange.mounted_gateway import MountedDoor
from tests.support.access_model import Grant, Offering, Request
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase, open_exchange

EXAMPLES = int(os.environ.get("STATEFUL_EXAMPLES", "6"))
STEPS = 40
PURPOSES = ("logistics_planning", "scientific_research")


class Story(RuleBasedStateMachine):
    """One platform with three people, one SME, and all that they do to each other."""

    kind = "sqlite"
    offerings, requests, grants = Bundle("offerings"), Bundle("requests"), Bundle("grants")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = OwnDatabase(self.kind, Path(self.folder.name) / "state")
        self.loop = asyncio.new_event_loop()
        self.opened = open_exchange(self.database)
        self.parts = self.run(self.opened.__aenter__())
        self.world = self.run(open_world(self.parts))
        platform = self.world.platform.org_id
        self.people = [self.run(self.world.member(platform, "approver")) for _ in range(3)]
        self.door = MountedDoor(self.parts.desk, 15)
        self.all_requests: dict[str, Request] = {}
        self.all_grants: dict[str, Grant] = {}
        self.leaves = self.published = 0

    def run(self, work):
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.opened.__aexit__(None, None, None))
        self.loop.close()
        self.database.remove()
        self.folder.cleanup()

    def refused(self, work) -> bool:
        """Whether an act was refused because the state does not allow it."""
        try:
            self.run(work)
        except Conflict:
            return True
        return False

    def note(self, answer, offering: Offering) -> Request:
        """Take what the exchange answered, after the model has said that it may."""
        known = self.all_requests.get(answer.request_id)
        if known is None:
            purpose = answer.ask.purpose
            known = Request(answer.request_id, offering, purpose, answer.status)
            self.all_requests[known.id] = known
        known.status, known.waits_for = answer.status, answer.waits_for
        known.renews = answer.renews
        if answer.grant is not None:
            known.grant = answer.grant.id
        return known

    def standing(self, offering: Offering, purpose: str):
        """What answers the same question again: a grant that is in force, or a pending request."""
        for grant in self.all_grants.values():
            if (grant.offering, grant.purpose, grant.state) == (offering, purpose, "active"):
                return grant
        for request in self.all_requests.values():
            same = (request.offering, request.purpose) == (offering, purpose)
            if same and request.status == "pending_approval" and request.renews is None:
                return request
        return None

    # ---- offerings

    @initialize(target=offerings)
    def first_offerings(self):
        return multiple(self.publish(0), self.publish(1), self.publish(2))

    @precondition(lambda self: self.published < 5)
    @rule(target=offerings, approvers=st.integers(0, 3))
    def publish_another(self, approvers):
        return self.publish(approvers)

    def publish(self, approvers):
        self.published += 1
        approval = "provider" if approvers else "automatic"
        made = self.run(self.world.publish(approval=approval, approvers=approvers or 1))
        return Offering(made.id, approvers)

    @precondition(lambda self: self.published > 3)
    @rule(offering=offerings)
    def withdraw_offering(self, offering):
        self.world.offering = self.run(self.parts.catalog.offering(offering.id))
        self.run(self.world.withdraw())
        offering.status = "withdrawn"

    # ---- requests

    @rule(target=requests, offering=offerings, purpose=st.sampled_from(PURPOSES))
    def ask(self, offering, purpose):
        stands = self.standing(offering, purpose)
        answer = self.run(self.world.ask(offering_id=offering.id, purpose=purpose))
        if isinstance(stands, Grant):
            assert answer.grant is not None
            assert answer.grant.id == stands.id
        elif stands is not None:
            assert answer.request_id == stands.id
        elif offering.status == "withdrawn":
            assert (answer.status, answer.grant) == ("denied", None)
        else:
            assert answer.status == ("pending_approval" if offering.approvers else "permitted")
        request = self.note(answer, offering)
        if answer.grant is not None and answer.grant.id not in self.all_grants:
            assert stands is None
            self.all_grants[answer.grant.id] = Grant(answer.grant.id, offering, purpose)
        return request

    @rule(target=grants, request=requests)
    def look_at_its_grant(self, request):
        return self.all_grants[request.grant] if request.grant is not None else multiple()

    @rule(request=requests)
    def ask_back(self, request):
        work = self.world.act("ask", request.id, self.people[0], "Why?")
        assert self.refused(work) == (request.status != "pending_approval")
        if request.status == "pending_approval":
            request.waits_for = "consumer"

    @rule(request=requests)
    def answer(self, request):
        work = self.world.act("answer", request.id, self.world.sme, "So.")
        assert self.refused(work) == (request.waits_for != "consumer")
        if request.waits_for == "consumer":
            request.waits_for = "provider"

    @rule(request=requests, what=st.sampled_from(["reject", "withdraw"]))
    def settle(self, request, what):
        by = self.people[1] if what == "reject" else self.world.sme
        was_pending = request.status == "pending_approval"
        assert self.refused(self.world.act(what, request.id, by, "No.")) != was_pending
        if was_pending:
            request.status = "rejected" if what == "reject" else "withdrawn"
            request.waits_for = None

    @rule(request=requests)
    def appeal(self, request):
        waits_anew = request.status in ("rejected", "lapsed")
        taken = request.status == "denied" or (
            request.grant is not None and self.all_grants[request.grant].state == "revoked"
        )
        blocked = waits_anew and self.blocks(request)
        refused = self.refused(self.world.act("appeal", request.id, self.world.sme, "Yes."))
        assert refused == (blocked or not (waits_anew or taken))
        if waits_anew and not refused:
            request.status, request.waits_for = "pending_approval", "provider"
            request.approved_by = set()

    def blocks(self, request) -> bool:
        """Whether another request that waits has taken this one's place."""
        for other in self.all_requests.values():
            if other is request or other.status != "pending_approval":
                continue
            if other.renews is not None or request.renews is not None:
                if other.renews == request.renews:
                    return True
            elif (other.offering, other.purpose) == (request.offering, request.purpose):
                return True
        return False

    @rule(request=requests, person=st.integers(0, 2))
    def approve(self, request, person):
        who = self.people[person]
        pending, offering = request.status == "pending_approval", request.offering
        again = who.member_id in request.approved_by
        stands = self.standing(offering, request.purpose)
        complete = len(request.approved_by) + 1 >= offering.approvers
        renewed = self.all_grants.get(request.renews or "")
        prolongs = renewed is not None and renewed.state == "active"
        taken = isinstance(stands, Grant) and complete and not prolongs
        try:
            done = self.run(self.world.approve(request.id, who))
        except Conflict as conflict:
            code = conflict.code
            allowed = taken and offering.status == "published" if pending else not again
            assert (code == "granted_already" and allowed) if pending else allowed, code
            return
        if not pending or again:
            assert again
            assert done.receipt is None
            return
        request.approved_by.add(who.member_id)
        if offering.status == "withdrawn":
            assert done.answer.status == "denied"
        elif not complete:
            assert done.answer.status == "pending_approval"
        else:
            assert not taken
            assert done.answer.status == "approved"
            grant = done.answer.grant
            assert (grant.id == request.renews) == prolongs
            self.all_grants.setdefault(grant.id, Grant(grant.id, offering, request.purpose))
        self.note(done.answer, offering)

    @rule(request=requests)
    def nobody_answers(self, request):
        if request.status != "pending_approval":
            return
        held = self.run(self.parts.store.held(request.id, self.world.operator))
        late = Update(REQUESTS, request.id, held.rev, {"until_ms": now_ms() - 1})
        self.run(self.parts.ledger.commit(Write(updates=[late])))
        assert self.run(chase_requests(self.parts.desk)) >= 1
        request.status, request.waits_for = "lapsed", None

    # ---- grants

    @rule(target=requests, grant=grants, days=st.sampled_from([20, 60, 80, 91]))
    def renew(self, grant, days):
        held = self.run(self.parts.store.grant(grant.id))
        pending = [
            request
            for request in self.all_requests.values()
            if request.renews == grant.id and request.status == "pending_approval"
        ]
        shortens = held.ends_ms >= now_ms() + days * DAY_MS
        try:
            answer = self.run(self.world.renew(grant.id, days))
        except Conflict:
            assert shortens or grant.state != "active"
            return multiple()
        assert grant.state == "active"
        if pending:
            assert answer.request_id == pending[0].id
        elif grant.offering.status == "withdrawn" or days > 90:
            assert answer.status == "denied"
        else:
            expected = "pending_approval" if grant.offering.approvers else "permitted"
            assert answer.status == expected
        return self.note(answer, grant.offering)

    @rule(grant=grants)
    def revoke(self, grant):
        assert self.refused(self.world.revoke(grant.id)) == (grant.state == "ended")
        if grant.state == "active":
            grant.state = "revoked"

    @rule(grant=grants)
    def the_clock_ends_it(self, grant):
        held = self.run(self.parts.store.grant(grant.id))
        if grant.state != "active":
            return
        past = Update(GRANTS, grant.id, held.rev, {"ends_ms": now_ms() - 1})
        self.run(self.parts.ledger.commit(Write(updates=[past], forgets=[held.ask])))
        grant.state = "ended"

    @rule(grant=grants)
    def use(self, grant):
        seen = self.run(self.door.look_up(grant.id))
        assert seen.status == grant.state
        use = Use(grant.id, seen.client_id, "data.bin", "v1", "GET", 0, 9, seen.rev)
        before = len(self.database.sql("SELECT id FROM uses"))
        try:
            self.run(self.door.record(use))
            delivered = True
        except DoorRefused:
            delivered = False
        assert delivered == (grant.state == "active")
        after = len(self.database.sql("SELECT id FROM uses"))
        assert after == before + delivered

    # ---- always

    @invariant()
    def rows_and_leaves_and_model_agree(self):
        rows = dict(self.database.sql("SELECT id, status FROM access_requests"))
        assert rows == {request.id: request.status for request in self.all_requests.values()}
        waits = dict(self.database.sql("SELECT id, waits_for FROM access_requests"))
        assert waits == {request.id: request.waits_for for request in self.all_requests.values()}
        for grant in self.all_grants.values():
            held = self.run(self.parts.store.grant(grant.id))
            assert held.state(now_ms()) == grant.state
        # The end's leaf follows the clock; the judge compares ends that leaves named beforehand.
        if not any(grant.state == "ended" for grant in self.all_grants.values()):
            judged = judge(self.database.sql)
            assert judged.size >= self.leaves
            self.leaves = judged.size

    @rule()
    def sweep(self):
        self.run(end_grants(self.parts.ledger, self.parts.store))


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
