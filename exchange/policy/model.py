"""The decision point's words: the input document, the decision, and what can go wrong.

PolicyError                 base
├── BundleError             the committed policies are missing or were changed: do not start
├── PolicyRefusedInput      the document breaks the JSON Schema: no engine saw it
└── PolicyUnavailable       no trustworthy answer: the caller denies
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

LARGEST: Final = 2**53 - 1
"""Largest integer that every JSON reader keeps exact (RFC 8259 section 6)."""

Id = Annotated[str, StringConstraints(pattern="^[a-z]{3}_[0-9a-z_]{1,60}$")]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
PurposeCode = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")]
ActionCode = Annotated[str, StringConstraints(pattern="^[a-z]{1,32}$")]

Status = Literal["active", "suspended"]
Role = Literal["platform", "sme", "auditor", "operator"]
Evidence = Literal["self_declared", "verified", "certified"]
Size = Literal["micro", "small", "medium", "large"]
Industry = Literal[
    "agriculture",
    "industry",
    "construction",
    "wholesale",
    "retail",
    "transport",
    "warehousing",
    "postal",
    "accommodation",
    "catering",
    "information_transmission",
    "software_it_services",
    "real_estate_development",
    "property_management",
    "leasing_business_services",
    "other",
]
Outcome = Literal["permit", "deny", "needs_approval"]
Param = str | int | list[str]

COUNTED: Final = frozenset({"days", "sessions", "calls", "calls_per_minute", "bytes", "concurrent"})
"""Obligations that are a positive number."""

KNOWN_OBLIGATIONS: Final = COUNTED | {"paths"}
"""Obligations that connectors enforce; an unknown one means deny."""

_UNIQUE: Final[dict[str, Any]] = {"uniqueItems": True}
_strict = with_config(ConfigDict(extra="forbid"))


@_strict
class JurisdictionAttribute(TypedDict):
    """ISO 3166-1 alpha-2 code and how well it is shown."""

    value: Country
    evidence: Evidence


@_strict
class IndustryAttribute(TypedDict):
    """Industry of the size classes' table and how well it is shown."""

    value: Industry
    evidence: Evidence


@_strict
class FigureAttribute(TypedDict):
    """Persons, or units of 10,000 CNY, and how well they are shown."""

    value: Count
    evidence: Evidence


@_strict
class Attributes(TypedDict):
    """What is known of the requester; absent means unknown, never zero."""

    jurisdiction: NotRequired[JurisdictionAttribute]
    industry: NotRequired[IndustryAttribute]
    headcount: NotRequired[FigureAttribute]
    revenue_cny_10k: NotRequired[FigureAttribute]
    assets_cny_10k: NotRequired[FigureAttribute]


@_strict
class Consumer(TypedDict):
    """The organisation that asks."""

    id: Id
    status: Status
    roles: Annotated[list[Role], Field(max_length=4, json_schema_extra=_UNIQUE)]
    attributes: Attributes


@_strict
class Provider(TypedDict):
    """The platform whose offering it is."""

    id: Id
    status: Status


@_strict
class Limits(TypedDict):
    """What grants of an offering are held to; absent means without limit.

    `calls` in all and a minute, `bytes` delivered, how many uses run at once (`concurrent`), and
    the only methods and paths (`METHOD /path`, see formats/allowed_paths.py).
    """

    calls: NotRequired[Positive]
    calls_per_minute: NotRequired[Positive]
    bytes: NotRequired[Positive]
    concurrent: NotRequired[Positive]
    paths: NotRequired[
        Annotated[
            list[Annotated[str, StringConstraints(pattern="^[A-Z]{3,7} /[!-~]*$", max_length=600)]],
            Field(min_length=1, max_length=64, json_schema_extra=_UNIQUE),
        ]
    ]


@_strict
class OfferingTerms(TypedDict):
    """One version of an offering, as far as decisions depend on it."""

    id: Id
    version: Positive
    status: Literal["draft", "published", "suspended", "withdrawn"]
    kind: Literal["dataset", "compute", "technology"]
    classification: Literal["general", "important", "core"]
    personal_information: Literal["none", "personal", "sensitive"]
    purposes: Annotated[list[PurposeCode], Field(max_length=32, json_schema_extra=_UNIQUE)]
    max_days: Annotated[int, Field(ge=1, le=36500)]
    jurisdictions: Annotated[list[Country], Field(max_length=250, json_schema_extra=_UNIQUE)]
    min_evidence: Evidence
    approval: Literal["automatic", "provider"]
    approvers: Annotated[int, Field(ge=1, le=8)]
    sizes: Annotated[list[Size], Field(max_length=4, json_schema_extra=_UNIQUE)]
    max_sessions: Positive | None
    limits: Limits
    sandbox: bool


@_strict
class Request(TypedDict):
    """What is asked: for which purpose, to do what, for how many days."""

    purpose: Annotated[str, StringConstraints(max_length=64)]
    actions: Annotated[
        list[ActionCode], Field(min_length=1, max_length=8, json_schema_extra=_UNIQUE)
    ]
    days: Positive


@_strict
class Approval(TypedDict):
    """Who approved (a member's or an organisation's id), and when in UTC seconds."""

    by: Id
    at: Count


@_strict
class PolicyInput(TypedDict):
    """The whole input document; `policies/schema/input.json` says the same to everybody else."""

    now: Count
    consumer: Consumer
    provider: Provider
    offering: OfferingTerms
    request: Request
    approvals: Annotated[list[Approval], Field(max_length=16)]


@dataclass(frozen=True, slots=True)
class Reason:
    """A stable code with its parameters; `exchange.policy.render` puts it into words."""

    code: str
    params: Mapping[str, Param]

    def as_document(self) -> dict[str, Any]:
        """Return `{"code": …, "params": {…}}`, ready for canonical JSON."""
        return {"code": self.code, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class Remedy(Reason):
    """What the requester can change; its code says how, its parameters name the field."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision and the digest of the policies that made it.

    A permit has no reasons; the other two have at least one and no obligations.
    """

    outcome: Outcome
    reasons: tuple[Reason, ...]
    remedies: tuple[Remedy, ...]
    obligations: Mapping[str, Any]
    policy_digest: str

    def as_document(self) -> dict[str, Any]:
        """Return what the policy answered, without the digest: what replay compares."""
        return {
            "decision": self.outcome,
            "reasons": [reason.as_document() for reason in self.reasons],
            "remedies": [remedy.as_document() for remedy in self.remedies],
            "obligations": dict(self.obligations),
        }


class PolicyError(Exception):
    """Base of the decision point's errors; the message is for the operator."""


class BundleError(PolicyError):
    """The compiled policies are missing, incomplete or not what their manifest says."""


class PolicyRefusedInput(PolicyError):
    """The input document breaks the JSON Schema; `where` is the path of the first fault."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class PolicyUnavailable(PolicyError):
    """The engine failed, timed out or answered nonsense: nothing may be permitted."""
