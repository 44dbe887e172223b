"""The real policies, meddled with: stricter ones, and an engine that fails when it is told to."""

from dataclasses import replace

from exchange.policy.activate import activate_policy
from exchange.policy.model import PolicyUnavailable


class OtherPolicy:
    """What the real engine says of offerings that allow `max_days` at most, under a digest of its
    own. `fails` says of which input documents there is no answer; `asked` are all of them.
    """

    def __init__(self, engine, digit="1", *, max_days=None):
        self.engine, self.digest, self.max_days = engine, "sha256:" + digit * 64, max_days
        self.fails, self.asked = (lambda document: False), []

    async def decide(self, document):
        self.asked.append(document)
        if self.fails(document):
            raise PolicyUnavailable("told to fail")
        if self.max_days is not None:
            offering = {**document["offering"], "max_days": self.max_days}
            document = {**document, "offering": offering}
        decision = await self.engine.decide(document)
        return replace(decision, policy_digest=self.digest)

    async def aclose(self):
        await self.engine.aclose()


async def put_in_force(parts, engine) -> None:
    """Let this worker decide by another engine from now on, and the log say so."""
    policy = await activate_policy(parts.ledger, engine)
    parts.desk = replace(parts.desk, policy=policy)
