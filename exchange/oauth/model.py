"""What the token endpoint speaks of: who asks, for what, on which terms, and why not."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exchange.ledger.write import RowKey
from exchange.participants.model import Client, Member, Organisation

_NOT_IN_DESCRIPTIONS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class Refused(Exception):
    """An error answer of the token endpoint (RFC 6749 section 5.2)."""

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = 400,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        # The RFC allows visible ASCII there without the quotation mark and the backslash.
        self.description = _NOT_IN_DESCRIPTIONS.sub("'", description)
        self.status = status
        self.members = members or {}
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        return {"error": self.error, "error_description": self.description, **self.members}


class NotAuthenticated(Refused):
    """The rows that were read do not authenticate this client; newer ones might."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_client", description)


@dataclass(frozen=True, slots=True)
class Party:
    """A client, its organisation and the person whose it is, as one read found them."""

    client: Client
    organisation: Organisation
    member: Member | None = None

    @property
    def member_roles(self) -> frozenset[str] | None:
        """The person's roles; None for a program of the organisation."""
        return self.member.roles if self.member is not None else None


@dataclass(frozen=True, slots=True)
class ApiScopes:
    """What an API token is asked for."""

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class OneGrant:
    """What a grant token is asked for: `scope=grant:<grant_id>`."""

    grant_id: str


@dataclass(frozen=True, slots=True)
class GrantForToken:
    """A grant that the policy, asked again just now, still allows.

    `reads` are the revs of the rows that this rests on. They are rechecked when the token's
    assertion is spent, so a revocation meanwhile makes the question be asked again.
    """

    grant_id: str
    offering_id: str
    ends_ms: int
    authorization_details: Sequence[Mapping[str, Any]]
    reads: Mapping[RowKey, int] = field(default_factory=dict)


# Raises exchange.errors.Denied, Conflict, NotFound or Unavailable. It is called again when what it
# read has changed, so it must not answer from a cache that cannot see the change.
AuthorizeGrant = Callable[[Client, Organisation, str], Awaitable[GrantForToken]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token will say beside who has it and when: `lifetime` in seconds."""

    audience: str
    scope: str
    lifetime: int
    claims: Mapping[str, Any] = field(default_factory=dict)
