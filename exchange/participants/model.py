"""Participants: pure types and rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Role = Literal["platform", "sme", "auditor", "operator"]
Evidence = Literal["self_declared", "verified", "certified"]
Status = Literal["active", "suspended"]
MemberRole = Literal["owner", "publisher", "approver", "developer", "auditor"]
# RFC 7591 section 2. The secrets are for programs that can do no better, where the operator allows.
# So is `jwt_bearer`: their key signs the grant itself (RFC 7523 section 2.1).
AuthMethod = Literal["private_key_jwt", "client_secret_basic", "client_secret_post", "jwt_bearer"]
BY_SECRET = frozenset[AuthMethod]({"client_secret_basic", "client_secret_post"})
# Registered by an invitation a client waits for the operator; only an active one gets tokens.
ClientStatus = Literal["pending", "active", "rejected", "disabled"]
MemberStatus = Literal["invited", "active", "removed"]
AttributeName = Literal[
    "jurisdiction", "industry", "headcount", "revenue_cny_10k", "assets_cny_10k"
]

ATTRIBUTE_NAMES: tuple[str, ...] = get_args(AttributeName)

# What an organisation of each role may ask a token for. A token without `scope` gets all of them.
# What is asked for is judged by the policy: an organisation of any role may try a sandbox.
_EVERY = frozenset({"participants", "catalog", "grants", "members", "requests"})
SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "platform": _EVERY | {"offerings", "approvals", "holds", "status"},
        "sme": _EVERY,
        "auditor": _EVERY | {"log"},
        "operator": _EVERY | {"offerings", "log", "holds", "operate", "status"},
    }
)
# What of that a person may, by their roles in the organisation.
MEMBER_SCOPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "owner": frozenset({"participants", "members", "catalog", "grants", "holds"}),
        "publisher": frozenset({"participants", "catalog", "offerings", "grants"}),
        "approver": frozenset({"participants", "catalog", "approvals", "grants", "holds"}),
        "developer": frozenset({"participants", "catalog", "requests", "grants"}),
        "auditor": frozenset({"participants", "catalog", "grants", "log"}),
    }
)
# What only people do: "approved by two people" must not mean two programs of one of them.
PEOPLE_ONLY = frozenset({"approvals", "members"})
# Who of the people of an operator or auditor reads others' affairs, as far as the organisation may.
OVERSEERS = frozenset({"owner", "auditor"})
# What is left of that while the organisation is suspended: to read what concerns it, and to appeal.
SUSPENDED_SCOPES = frozenset({"participants", "grants"})


def scopes_of(roles: frozenset[str], member_roles: frozenset[str] | None = None) -> frozenset[str]:
    """Return every scope that an organisation's roles, and a member's in it, allow.

    Without a member's roles it is a program of the organisation that asks.
    """
    allowed = _union(SCOPES, roles)
    if member_roles is None:
        return allowed - PEOPLE_ONLY
    return allowed & _union(MEMBER_SCOPES, member_roles)


def _union(table: Mapping[str, frozenset[str]], roles: frozenset[str]) -> frozenset[str]:
    return frozenset().union(*(table[role] for role in roles if role in table))


def scopes_left(scopes: frozenset[str], status: Status) -> frozenset[str]:
    """Return what of its scopes an organisation of this status has."""
    return scopes & SUSPENDED_SCOPES if status == "suspended" else scopes


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
    holds: int = 0  # open ones: any suspends


@dataclass(frozen=True, slots=True)
class Profile:
    """How a client authenticates, and what its tokens are good with."""

    auth_method: AuthMethod = "private_key_jwt"
    dpop_bound: bool = False  # its tokens are good with a proof of its key only (RFC 9449)
    secret_hash: str | None = field(default=None, repr=False)


PLAIN = Profile()


@dataclass(frozen=True, slots=True)
class Client:
    """A program of an organisation, or of one of its members; known by its public keys."""

    id: str
    org_id: str
    name: str
    jwks: Mapping[str, Any]
    status: ClientStatus
    rev: int
    created_ms: int
    member_id: str | None = None  # the person whose it is; None: the organisation's own
    auth_method: AuthMethod = "private_key_jwt"
    dpop_bound: bool = False  # its tokens are good with a proof of its key only (RFC 9449)
    secret_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """A person of an organisation; the name is there until they are removed."""

    id: str
    org_id: str
    name: str | None
    roles: frozenset[str]
    status: MemberStatus
    invitation_hash: str | None
    invitation_expires_ms: int
    rev: int
    created_ms: int


@dataclass(frozen=True, slots=True)
class ClientInvitation:
    """Leave to register one client of an organisation: an initial access token (RFC 7591).

    The operator's may say that the client needs no approval, and that it may have a secret.
    """

    id: str
    org_id: str
    token_hash: str = field(repr=False)
    status: Literal["open", "used", "withdrawn"]
    expires_ms: int
    approved: bool
    secrets: bool
    client_id: str | None  # which it became
    made_by: str
    rev: int
    created_ms: int

    def is_open(self, now_ms: int) -> bool:
        """Whether a client may still be registered by it."""
        return self.status == "open" and self.expires_ms > now_ms
