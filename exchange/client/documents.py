"""What the exchange answers, as frozen dataclasses. Members not named here stay in `raw`."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from exchange.client.errors import NotAnExchange


def _by(of: Callable[[Any], Any]) -> Mapping[str, Callable[[Any], Any]]:
    return {"of": of}


def _each(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda values: tuple(of(value) for value in values)


def _or_none(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else of(value)


_TEXTS = _each(str)
_TIME = datetime.fromisoformat


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An answer. `raw` is the JSON that it was read from, whatever else a newer exchange says."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, document: Any) -> Self:
        """Read an answer; raises NotAnExchange where it is none."""
        try:
            values: dict[str, Any] = {"raw": dict(document)}
            for each in fields(cls):
                if each.name in document and each.name != "raw":
                    read = each.metadata.get("of", _as_is)
                    values[each.name] = read(document[each.name])
                elif each.default is MISSING and each.default_factory is MISSING:
                    raise KeyError(each.name)
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotAnExchange(
                f"An answer is no {cls.__name__.lower()}: {type(error).__name__} {error}."
            ) from error


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Document):
    """A reason or a remedy: a code for programs, words for people."""

    code: str
    text: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField(Document):
    """A question of an offering to its applicants."""

    name: str
    kind: str = "text"
    label_en: str = ""
    label_zh: str = ""
    required: bool = False
    choices: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Document):
    """A file as published; `url` is there where a grant delivers it."""

    name: str
    bytes: int
    sha256: str
    media_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering(Document):
    """What a platform offers, and its terms."""

    id: str
    provider_id: str
    version: int
    status: str
    kind: str
    title_en: str
    title_zh: str = ""
    description_en: str = ""
    description_zh: str = ""
    classification: str = ""
    personal_information: str = ""
    purposes: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())
    jurisdictions: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())
    industries: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())
    max_days: int = 0
    approval: str = "automatic"
    approvers: int = 1
    answer_days: int = 0
    sandbox: bool = False
    terms_en: str = ""
    terms_zh: str = ""
    terms_digest: str | None = None
    form: tuple[FormField, ...] = field(metadata=_by(_each(FormField.of)), default=())
    objects: tuple[File, ...] = field(metadata=_by(_each(File.of)), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Document):
    """What suspends a grant: who placed it, since when, why."""

    hold_id: str
    placed_by: str
    by_organisation_id: str | None = None
    reason: str | None = None
    reason_text: str | None = None
    text: str | None = None
    since: datetime = field(metadata=_by(_TIME))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation(Document):
    """Who revoked a grant, when and why."""

    revoked_by: str
    by_organisation_id: str = ""
    reason: str
    reason_text: str = ""
    text: str | None = None
    at: datetime = field(metadata=_by(_TIME))
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Document):
    """Who closed a request without a grant (None: the clock), when, and in which words."""

    kind: str
    kind_text: str = ""
    by_organisation_id: str | None = None
    text: str | None = None
    at: datetime = field(metadata=_by(_TIME))
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Document):
    """A right to one version of an offering until it ends."""

    id: str
    offering_id: str
    offering_version: int
    consumer_id: str
    provider_id: str
    purpose: str
    actions: tuple[str, ...] = field(metadata=_by(_TEXTS))
    status: str
    starts_at: datetime = field(metadata=_by(_TIME))
    ends_at: datetime = field(metadata=_by(_TIME))
    event_id: str
    request_id: str = ""
    terms_digest: str | None = None
    renewals: int = 0
    obligations: Mapping[str, Any] = field(default_factory=dict)
    holds: tuple[Hold, ...] = field(metadata=_by(_each(Hold.of)), default=())
    revocation: Revocation | None = field(metadata=_by(_or_none(Revocation.of)), default=None)

    @property
    def events(self) -> tuple[str, ...]:
        """The log's events that receipts prove: that it was granted, and that it was revoked."""
        ended = self.revocation
        return (self.event_id, *([ended.event_id] if ended is not None else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance(Document):
    """What is left of what a grant is held to; `resets_at` where it begins anew by the clock."""

    obligation: str
    ceiling: int
    used: int
    left: int
    resets_at: datetime | None = field(metadata=_by(_or_none(_TIME)), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Document):
    """What was used of a grant since it was given, and what is left."""

    grant_id: str
    offering_id: str
    sessions: int
    uses: int
    sent_bytes: int
    running: int = 0
    ended_unknown: int = 0
    authorised: int = 0
    last_use_at: datetime | None = field(metadata=_by(_or_none(_TIME)), default=None)
    allowances: tuple[Allowance, ...] = field(metadata=_by(_each(Allowance.of)), default=())

    def left(self, obligation: str) -> int | None:
        """Return what is left of an obligation such as `calls`; None where it is not limited."""
        return next((a.left for a in self.allowances if a.obligation == obligation), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDay(Document):
    """Use of one day (YYYY-MM-DD, of UTC+8); `key` is the id by which it was summed up."""

    day: str
    key: str
    sessions: int
    uses: int
    sent_bytes: int
    running: int = 0
    ended_unknown: int = 0
    authorised: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Document):
    """Who has a request, since when, and when it lapses."""

    whose: str
    organisation_id: str = ""
    since: datetime | None = field(metadata=_by(_or_none(_TIME)), default=None)
    until: datetime | None = field(metadata=_by(_or_none(_TIME)), default=None)
    approvals: int = 0
    approvers: int = 1

    @classmethod
    def read(cls, document: Any) -> "Waiting":
        """Read an answer: its `for` is a word of Python's, so it is `whose` here."""
        return cls.of({**document, "whose": document.get("for")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Document):
    """A request for access, and what became of it."""

    id: str
    status: str
    offering_id: str
    offering_version: int
    consumer_id: str
    provider_id: str
    purpose: str
    days: int
    actions: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())
    form: Mapping[str, Any] | None = None
    form_digest: str | None = None
    accepted_terms: str | None = None
    renews: str | None = None
    reasons: tuple[Said, ...] = field(metadata=_by(_each(Said.of)), default=())
    remedies: tuple[Said, ...] = field(metadata=_by(_each(Said.of)), default=())
    waiting: Waiting | None = field(metadata=_by(_or_none(Waiting.read)), default=None)
    closed: Closed | None = field(metadata=_by(_or_none(Closed.of)), default=None)
    grant: Grant | None = field(metadata=_by(_or_none(Grant.of)), default=None)
    event_id: str
    receipt: str | None = field(default=None, repr=False)
    created_at: datetime = field(metadata=_by(_TIME))

    @property
    def events(self) -> tuple[str, ...]:
        """The log's events that receipts prove: what was decided, and how it was closed."""
        closed = self.closed
        return (self.event_id, *([closed.event_id] if closed is not None else []))

    @property
    def is_decided(self) -> bool:
        """Whether it waits for nobody any more."""
        return self.status != "pending_approval"

    @property
    def is_permitted(self) -> bool:
        """Whether it was a yes."""
        return self.status in ("permitted", "approved")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStep(Document):
    """What somebody did in a request's life."""

    id: str
    kind: str
    by_organisation_id: str | None = None
    by_member_id: str | None = None
    by_client_id: str | None = None
    text: str | None = None
    form_changed: bool = False
    at: datetime = field(metadata=_by(_TIME))
    event_id: str | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """The step's event in the log."""
        return (self.event_id,) if self.event_id else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Document):
    """What a request would be answered, and what would make it a yes."""

    outcome: str
    reasons: tuple[Said, ...] = field(metadata=_by(_each(Said.of)), default=())
    remedies: tuple[Said, ...] = field(metadata=_by(_each(Said.of)), default=())
    changes: tuple[Said, ...] = field(metadata=_by(_each(Said.of)), default=())
    outcome_after: str | None = None
    terms_digest: str | None = None
    required_fields: tuple[str, ...] = field(metadata=_by(_TEXTS), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Document):
    """What a grant delivers."""

    objects: tuple[File, ...] = field(metadata=_by(_each(File.of)))
