"""What stories do with holds: people place and lift them, and the rule follows an attribute."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from exchange.access.authorize_grant import authorize_grant
from exchange.access.holds_store import HoldsStore
from exchange.access.redecide import Redecider
from exchange.errors import Conflict, Denied, Forbidden, NotFound
from tests.support.access_model import Hold
from tests.support.tale import Tale

SIDES = st.sampled_from(["platform", "operator"])


class HoldRules(Tale):
    """Suspensions, and what must not come through under them."""

    @precondition(lambda self: self.model.grants and len(self.model.holds) < 4)
    @rule(n=st.integers(0, 2), by=SIDES)
    def suspend_a_grant(self, n, by):
        grant = self.grant(n)
        over = grant.state != "active"
        try:
            hold = self.run(self.world.suspend(grant.id, getattr(self.world, by)))
        except Conflict:
            assert over
            return
        assert not over
        self.model.holds[hold.id] = Hold(hold.id, grant.id, by)
        self.try_all(grant)

    @precondition(lambda self: self.model.requests and not self.around())
    @rule(n=st.integers(0, 2), on=st.sampled_from(["offering", "consumer", "provider"]), by=SIDES)
    def suspend_what_stands_around(self, n, on, by):
        offering = self.request(n).offering
        by = by if on == "offering" else "operator"
        target = offering.id if on == "offering" else getattr(self.model, on)
        hold = self.run(self.world.suspend(target, getattr(self.world, by)))
        self.model.holds[hold.id] = Hold(hold.id, target, by)
        for grant in self.model.grants.values():
            if target in (grant.offering.id, self.model.consumer, self.model.provider):
                self.try_all(grant)
                break

    def around(self):
        """Holds that suspend more than one grant: one at a time leaves room for other stories."""
        grants = self.model.grants
        return [hold for hold in self.model.holds.values() if hold.target not in grants]

    @precondition(lambda self: self.model.holds)
    @rule(n=st.integers(0, 3), by=SIDES)
    def lift(self, n, by):
        hold = list(self.model.holds.values())[n % len(self.model.holds)]
        allowed = by == "operator" or hold.by == by
        try:
            lifted = self.run(self.world.lift(hold.id, getattr(self.world, by)))
        except (Forbidden, NotFound):  # a platform does not even know of a hold on the SME
            assert not allowed
            return
        assert allowed
        assert (lifted.is_open, lifted.lifted_by) == (False, by)
        del self.model.holds[hold.id]
        again = self.run(self.world.lift(hold.id, getattr(self.world, by)))
        assert again == lifted
        if hold.target in self.model.grants:
            self.try_all(self.model.grants[hold.target])

    @precondition(lambda self: self.model.grants)
    @rule(moves=st.integers(1, 3), at_once=st.booleans())
    def move(self, moves, at_once):
        """Away or back; whoever decides grants anew looks at once, or some time later."""
        model = self.model
        for _ in range(moves):
            model.country = "US" if model.country == "CN" else "CN"
            model.is_followed = False
            self.run(self.world.set_attribute(model.consumer, "jurisdiction", model.country))
            if at_once:
                self.follow()

    @precondition(lambda self: not self.model.is_followed)
    @rule()
    def follow(self):
        model = self.model
        redecider = Redecider(self.parts.desk, page=2)
        while self.run(redecider.step()):
            pass
        found = self.run(HoldsStore(self.parts.ledger).by_rule(list(model.grants)))
        for grant in model.grants.values():
            before = {h.id for h in model.holds.values() if (h.target, h.by) == (grant.id, "rule")}
            hold = found.get(grant.id)
            if grant.state != "active":  # what is over keeps the holds that it has
                assert ({hold.id} if hold else set()) == before
                continue
            assert (hold is not None) == model.wants_rule(grant)
            if hold is not None and before:
                assert before == {hold.id}
            for each in before:
                del model.holds[each]
            if hold is not None:
                model.holds[hold.id] = Hold(hold.id, grant.id, "rule")
        model.is_followed = True
        self.try_all(self.grant(0))

    def try_all(self, grant):
        """Whatever a grant is for, as its holds allow it now."""
        self.try_to_use(grant)
        self.try_for_a_token(grant)
        self.try_to_renew(grant)

    @precondition(lambda self: self.model.grants)
    @rule(n=st.integers(0, 2))
    def ask_for_a_token(self, n):
        self.try_for_a_token(self.grant(n))

    def try_for_a_token(self, grant):
        people = self.parts.participants
        held = self.run(self.parts.store.grant(grant.id))
        client = self.run(people.client(held.client_id))
        consumer = self.run(people.organisation(held.consumer_id))
        expected = {"active": "given"}.get(self.model.counts_as(grant), Conflict)
        if expected == "given" and self.model.country != "CN":
            expected = Denied
        try:
            terms = self.run(authorize_grant(self.parts.desk, client, consumer, grant.id))
        except (Conflict, Denied) as refusal:
            met = type(refusal)
        else:
            met = "given"
            assert terms.grant_id == grant.id
        assert met == expected
