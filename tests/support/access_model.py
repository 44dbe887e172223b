"""The small model that stories of requests and grants are held against."""

from dataclasses import dataclass, field


@dataclass
class Offering:
    """What the model knows of an offering."""

    id: str
    approvers: int  # 0: decided at once
    status: str = "published"


@dataclass
class Request:
    """What the model knows of a request."""

    id: str
    offering: Offering
    purpose: str
    status: str
    waits_for: str | None = None
    approved_by: set[str] = field(default_factory=set)
    renews: str | None = None
    grant: str | None = None


@dataclass
class Grant:
    """What the model knows of a grant."""

    id: str
    offering: Offering
    purpose: str
    state: str = "active"
