"""The door to the decision point: check the input, ask one engine once, check the answer."""

from typing import Protocol

from exchange.policy.answer import read_decision
from exchange.policy.contract import CheckedInput, InputContract
from exchange.policy.model import Decision, PolicyInput, PolicyUnavailable


class PolicyEngine(Protocol):
    """What the exchange knows of policies."""

    @property
    def digest(self) -> str:
        """`sha256:…` of the policies and data that decide; stored with each decision."""

    async def decide(self, document: PolicyInput) -> Decision:
        """Decide once; raises `PolicyRefusedInput` or `PolicyUnavailable`, both mean no."""

    async def aclose(self) -> None:
        """Give back connections and memory."""


class Evaluator(Protocol):
    """One way to run the policies; its answer is not trusted yet."""

    async def evaluate(self, checked: CheckedInput) -> object:
        """Return the value of the entry point; any exception counts as no answer."""

    async def aclose(self) -> None:
        """Give back connections and memory."""


class PolicyDoor:
    """A `PolicyEngine` over one evaluator. Fails closed: whatever goes wrong is no decision."""

    def __init__(self, contract: InputContract, evaluator: Evaluator, digest: str) -> None:
        self._contract = contract
        self._evaluator = evaluator
        self._digest = digest

    @property
    def digest(self) -> str:
        """Digest of the bundle that decides."""
        return self._digest

    async def decide(self, document: PolicyInput) -> Decision:
        """Check, ask, check: see `PolicyEngine`."""
        checked = self._contract.check(document)
        try:
            answer = await self._evaluator.evaluate(checked)
        except PolicyUnavailable:
            raise
        except Exception as error:  # engines leak the exceptions of what they are built on
            raise PolicyUnavailable(f"the policy engine failed: {type(error).__name__}") from error
        return read_decision(answer, self._digest)

    async def aclose(self) -> None:
        """Close the evaluator."""
        await self._evaluator.aclose()
