"""Participants: pure types and rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

Role = Literal["platform", "sme", "auditor", "operator"]
Evidence = Literal["self_declared", "verified", "certified"]
Status = Literal["active", "suspended"]
AttributeName = Literal[
    "jurisdiction", "industry", "headcount", "revenue_cny_10k", "assets_cny_10k"
]

ATTRIBUTE_NAMES: tuple[str, ...] = get_args(AttributeName)

# What an organisation of each role may ask a token for. A token without `scope` gets all of them.
SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "platform": frozenset({"participants", "catalog", "offerings", "grants"}),
        "sme": frozenset({"participants", "catalog", "requests", "grants"}),
        "auditor": frozenset({"participants", "catalog", "grants", "log"}),
        "operator": frozenset({"participants", "catalog", "offerings", "grants", "log", "operate"}),
    }
)


def scopes_of(roles: frozenset[str]) -> frozenset[str]:
    """Return every scope that an organisation's roles allow."""
    return frozenset().union(*(SCOPES[role] for role in roles if role in SCOPES))


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is known of an organisation, how well (evidence), and how often it changed."""

    value: str | int
    evidence: Evidence
    version: int


@dataclass(frozen=True, slots=True)
class Organisation:
    """A participant. It holds a set of roles: a platform may also be an SME elsewhere."""

    id: str
    name_en: str
    name_zh: str
    roles: frozenset[str]
    status: Status
    attributes: Mapping[str, Attribute]
    rev: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class Client:
    """A program of an organisation, known by its public keys (RFC 7517)."""

    id: str
    org_id: str
    name: str
    jwks: Mapping[str, Any]
    status: Literal["active", "disabled"]
    rev: int
    created_ms: int
