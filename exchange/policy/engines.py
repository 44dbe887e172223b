"""Opens the decision point that the settings ask for."""

from pathlib import Path
from typing import Literal

from exchange.policy.bundle import load_bundle
from exchange.policy.contract import InputContract
from exchange.policy.door import Evaluator, PolicyDoor
from exchange.policy.embedded import EmbeddedEvaluator
from exchange.policy.server import ServerEvaluator


def open_engine(
    kind: Literal["embedded", "server"],
    *,
    bundle_dir: Path | None = None,
    opa_url: str = "http://127.0.0.1:8181",
    cache_dir: Path | None = None,
) -> PolicyDoor:
    """Return the policy engine; `cache_dir` (0700) keeps the compiled module between starts.

    Raises `PolicyError` (`BundleError` for the policies themselves) with what to do. An OPA server
    is not asked here: it may start later, until then every decision is `PolicyUnavailable`.
    """
    bundle = load_bundle(bundle_dir)
    evaluator: Evaluator
    if kind == "embedded":
        evaluator = EmbeddedEvaluator(bundle, cache_dir)
    else:
        evaluator = ServerEvaluator(bundle, opa_url)
    return PolicyDoor(InputContract(bundle.schema), evaluator, bundle.revision)
