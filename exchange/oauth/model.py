"""What the token endpoint speaks of: who asks, for what, on which terms, and why not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from exchange.access.endings import Closing
from exchange.access.model import Ask, Said
from exchange.ledger.write import Met, Once, RowKey
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

    def __init__(self, description: str, *, basic: bool = False) -> None:
        # RFC 6749 section 5.2: 401 to who tried the Authorization header.
        headers = {"WWW-Authenticate": 'Basic realm="/oauth/token"'} if basic else None
        super().__init__(
            "invalid_client", description, status=401 if basic else 400, headers=headers
        )


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

    @property
    def operates(self) -> bool:
        """Whether it is a program of the operator."""
        return "operator" in self.organisation.roles and self.member is None

    def check_active(self, *, basic: bool = False) -> None:
        """Raise NotAuthenticated unless the client, and the person whose it is, may act."""
        if self.client.status != "active":
            raise NotAuthenticated(f"This client is {self.client.status}.", basic=basic)
        if self.member is not None and self.member.status != "active":
            raise NotAuthenticated("The person whose client this is was removed.", basic=basic)


@dataclass(frozen=True, slots=True)
class Verified:
    """Proof that the party asks; what is good once is in `once`, committed before any answer.

    `credential` names the key or the secret that proved it (participants/credentials.py).
    """

    party: Party
    credential: str
    once: Sequence[Once] = ()


@dataclass(frozen=True, slots=True)
class ApiScopes:
    """What an API token is asked for."""

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class OneGrant:
    """What a grant token is asked for: `scope=grant:<grant_id>`, or details that name it.

    `kind` and `actions` are what the details said, if they did: no more than the grant's.
    """

    grant_id: str
    kind: str | None = None
    actions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class OneOffering:
    """What is asked for where there may be no grant yet: access to an offering of this kind."""

    kind: str
    ask: Ask


Asked = ApiScopes | OneGrant | OneOffering


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
    status: Mapping[str, Any] = field(default_factory=dict)  # the claim (status_claim.py)


class Access(Protocol):
    """What the token endpoint asks of the room where requests are decided.

    They raise exchange.errors: Denied, Conflict, NotFound, Unavailable. They are called again, and
    `fresh`, when what they read has changed: then they must not answer from memory.
    """

    async def authorize(
        self, client: Client, organisation: Organisation, grant_id: str, *, fresh: bool
    ) -> GrantForToken:
        """Ask the policy again whether a token may be given for a grant. Raises Stale too."""

    async def standing(self, grant_id: str) -> "Standing | None":
        """Return how a grant stands just now; None for an unknown one. Raises Unavailable."""

    async def ask(
        self,
        party: Party,
        asked: OneOffering,
        once: Sequence[Once],
        reads: Mapping[RowKey, int],
        *,
        fresh: bool,
    ) -> "Decided | Met":
        """Ask for access in one walk; Met where one of `once` had been used. Raises Stale too."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a grant stands just now."""

    client_id: str
    provider_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What a request for access came to, be it new or one that stood.

    `is_spent` says whether the once keys went along. `status` is the request's; `grant_id` is there
    where a grant stands, `grant` where that was judged in the same breath; `receipt` is that of the
    leaf of one that was given just now.
    """

    is_spent: bool
    request_id: str
    status: str
    reasons: Sequence[Said]
    remedies: Sequence[Said]
    grant_id: str | None = None
    grant: GrantForToken | None = None
    receipt: str | None = None
    closing: Closing | None = None  # how people closed it, and in which words


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token will say beside who has it and when: `lifetime` in seconds."""

    audience: str
    scope: str
    lifetime: int
    claims: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)  # beside the token, in the answer
