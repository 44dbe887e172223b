"""The small model that stories of requests, grants and holds are held against."""

from dataclasses import dataclass, field

from exchange.clock import DAY_MS


@dataclass
class Offering:
    """What the model knows of an offering."""

    id: str
    approvers: int  # 0: decided at once
    status: str = "published"
    version: int = 1


@dataclass
class Request:
    """What the model knows of a request."""

    id: str
    offering: Offering
    purpose: str
    status: str
    days: int
    form: dict[str, str]
    version: int
    waits_for: str | None = None
    approved_by: set[str] = field(default_factory=set)  # of those who saw this form
    renews: str | None = None
    grant: str | None = None


@dataclass
class Grant:
    """What the model knows of a grant; holds are the model's."""

    id: str
    offering: Offering
    purpose: str
    version: int
    ends_ms: int
    state: str = "active"


@dataclass
class Hold:
    """An open hold: on what, and who placed it (platform, operator, rule)."""

    id: str
    target: str
    by: str


@dataclass
class Model:
    """One platform and one SME: all that there is, and what follows from it."""

    consumer: str
    provider: str
    country: str = "CN"
    is_followed: bool = False  # the latest change of the country, by whoever decides grants anew
    offerings: list[Offering] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)

    def is_held(self, *targets: str) -> bool:
        """Whether any of these has an open hold."""
        return any(hold.target in targets for hold in self.holds.values())

    def counts_as(self, grant: Grant) -> str:
        """A grant's state, with the holds on it and around it."""
        around = (grant.id, grant.offering.id, self.consumer, self.provider)
        return "suspended" if grant.state == "active" and self.is_held(*around) else grant.state

    def refuses(self, offering: Offering) -> bool:
        """Whether nothing is granted now, for whatever purpose and however many approve."""
        held = self.is_held(offering.id, self.consumer, self.provider)
        return offering.status == "withdrawn" or held or self.country != "CN"

    def standing(self, offering: Offering, purpose: str) -> Grant | Request | None:
        """What answers the same question again: a grant, suspended or not, or a pending request."""
        for grant in self.grants.values():
            if (grant.offering, grant.purpose, grant.state) == (offering, purpose, "active"):
                return grant
        for request in self.requests.values():
            same = (request.offering, request.purpose) == (offering, purpose)
            same = same and request.version == offering.version
            if same and request.status == "pending_approval" and request.renews is None:
                return request
        return None

    def blocks(self, request: Request) -> bool:
        """Whether another request that waits has taken this one's place."""
        for other in self.requests.values():
            if other is request or other.status != "pending_approval":
                continue
            if other.version != request.version:
                continue
            if other.renews is not None or request.renews is not None:
                if other.renews == request.renews:
                    return True
            elif (other.offering, other.purpose) == (request.offering, request.purpose):
                return True
        return False

    def takes_back(self, request: Request, now_ms: int) -> str | None:
        """Why a renewal would not prolong its grant, which has not ended; None where it would."""
        grant = self.grants[request.renews or ""]
        if grant.state == "revoked":
            return "grant_revoked"
        if grant.version > request.version:
            return "renewal_outdated"
        return "renewal_shortens" if now_ms + request.days * DAY_MS <= grant.ends_ms else None

    def wants_rule(self, grant: Grant) -> bool:
        """Whether the rule holds this grant once the latest change has been followed."""
        return grant.state == "active" and self.country != "CN"
