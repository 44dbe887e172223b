"""What stories do with grants: renewed, overtaken, revoked, ended by the clock, used."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from connectors.gateway.door import DoorRefused, Use
from exchange.access.revoke_grant import end_grants
from exchange.access.store import GRANTS
from exchange.clock import DAY_MS, now_ms
from exchange.errors import Conflict
from exchange.ledger.write import Update, Write
from tests.support.hold_rules import HoldRules

NEWEST = st.integers(0, 3)
has_grants = precondition(lambda self: self.model.grants)


class GrantRules(HoldRules):
    """A grant's life; the requests that it comes of are the story's."""

    @has_grants
    @rule(n=NEWEST, days=st.sampled_from([20, 60, 80, 91]))
    def renew(self, n, days):
        self.try_to_renew(self.grant(n), days)

    def try_to_renew(self, grant, days=60):
        model = self.model
        held = self.run(self.parts.store.grant(grant.id))
        version = grant.offering.version
        pending = [
            request
            for request in self.pending()
            if (request.renews, request.version) == (grant.id, version)
        ]
        others = [r for r in pending if (r.days, r.form) != (days, {})]
        shortens = held.ends_ms >= now_ms() + days * DAY_MS
        state = model.counts_as(grant)
        try:
            answer = self.run(self.world.renew(grant.id, days))
        except Conflict:
            assert shortens or others or state != "active"
            return None
        assert state == "active"
        assert not others
        if pending:
            assert answer.request_id == pending[0].id
        elif model.refuses(grant.offering) or days > 90:
            assert answer.status == "denied"
        else:
            expected = "pending_approval" if grant.offering.approvers else "permitted"
            assert answer.status == expected
        if answer.status == "permitted":
            self.note_grant(answer.grant, grant.offering, grant.purpose)
        return self.note(answer, grant.offering)

    @has_grants
    @rule(n=NEWEST, days=st.sampled_from([40, 70]), anew=st.booleans(), reject=st.booleans())
    def overtake(self, n, days, anew, reject):
        """A renewal waits or was rejected while another, perhaps of newer terms, is approved."""
        grant = self.grant(n)
        old = self.try_to_renew(grant, days)
        if old is not None and reject and old.status == "pending_approval":
            self.run(self.world.act("reject", old.id, self.people[0], "No."))
            old.status, old.waits_for = "rejected", None
        if anew:
            self.publish_anew(self.model.offerings.index(grant.offering))
        newer = self.try_to_renew(grant, 60)
        for request in (newer, old):
            if request is not None and request.status == "rejected":
                self.try_to_appeal(request)
            if request is not None and request.status == "pending_approval":
                self.approve_in_turn(request)

    @has_grants
    @rule(n=NEWEST, again=st.booleans())
    def revoke(self, n, again):
        grant = self.grant(n)
        assert self.refused(self.world.revoke(grant.id)) == (grant.state == "ended")
        if grant.state == "active":
            grant.state = "revoked"
        if again:
            self.ask_for(grant.offering, grant.purpose)

    @has_grants
    @rule(n=NEWEST)
    def the_clock_ends_it(self, n):
        grant = self.grant(n)
        held = self.run(self.parts.store.grant(grant.id))
        if grant.state != "active":
            return
        past = Update(GRANTS, grant.id, held.rev, {"ends_ms": now_ms() - 1})
        self.run(self.parts.ledger.commit(Write(updates=[past], forgets=[held.ask])))
        grant.state = "ended"
        self.ended.add(grant.id)

    @has_grants
    @rule(n=NEWEST)
    def use(self, n):
        self.try_to_use(self.grant(n))

    def try_to_use(self, grant):
        seen = self.run(self.door.look_up(grant.id))
        state = self.model.counts_as(grant)
        assert seen.status == state
        use = Use(grant.id, seen.client_id, "data.bin", "v1", "GET", 0, 9, seen.rev)
        ((before,),) = self.sql("SELECT count(*) FROM uses")
        try:
            self.run(self.door.record(use))
            delivered = True
        except DoorRefused:
            delivered = False
        assert delivered == (state == "active")
        assert self.sql("SELECT count(*) FROM uses") == [(before + delivered,)]

    @rule()
    def sweep(self):
        self.run(end_grants(self.parts.ledger, self.parts.store))
