"""Engines for tests that compare what is decided, not how soon."""

from exchange.policy import load_bundle
from exchange.policy.contract import InputContract
from exchange.policy.door import PolicyDoor
from exchange.policy.server import ServerEvaluator


def patient(url: str) -> PolicyDoor:
    """An OPA server that may take its time."""
    bundle = load_bundle()
    evaluator = ServerEvaluator(bundle, url, timeout_seconds=30)
    return PolicyDoor(InputContract(bundle.schema), evaluator, bundle.revision)
