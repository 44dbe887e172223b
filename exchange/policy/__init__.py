"""The decision point: one input document in, one decision out, by policies with a digest."""

from exchange.policy.bundle import Bundle, load_bundle
from exchange.policy.door import PolicyEngine
from exchange.policy.engines import open_engine
from exchange.policy.model import (
    KNOWN_OBLIGATIONS,
    BundleError,
    Decision,
    PolicyError,
    PolicyInput,
    PolicyRefusedInput,
    PolicyUnavailable,
    Reason,
    Remedy,
)

__all__ = [
    "KNOWN_OBLIGATIONS",
    "Bundle",
    "BundleError",
    "Decision",
    "PolicyEngine",
    "PolicyError",
    "PolicyInput",
    "PolicyRefusedInput",
    "PolicyUnavailable",
    "Reason",
    "Remedy",
    "load_bundle",
    "open_engine",
]
