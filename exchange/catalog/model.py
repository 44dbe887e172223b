"""Offerings: pure types and rules."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol, cast

from exchange.catalog.form import FormField, form_field_of
from exchange.errors import Conflict
from exchange.formats import canonical
from exchange.policy.model import Limits, OfferingTerms

Kind = Literal["dataset", "compute", "technology"]
OfferingStatus = Literal["draft", "published", "withdrawn"]
Standing = Literal["draft", "published", "suspended", "withdrawn"]


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One file of a dataset as it was when its version was published."""

    name: str
    bytes: int
    sha256: str
    media_type: str
    tag: str | None = None  # the store's own name for these very bytes: an S3 ETag, without quotes
    version_id: str | None = None  # and for this version of the object, where it keeps versions


@dataclass(frozen=True, slots=True)
class Table:
    """What was read of one file of a dataset at its publication.

    `columns` are `{name, type, nullable}`, the first of `column_count`; `row_count` is None where
    the file is too long to count. `sample` is `{columns, rows}`, rows as lists of JSON values.
    """

    name: str
    format: str
    columns: Sequence[Mapping[str, Any]]
    column_count: int
    row_count: int | None
    sample: Mapping[str, Any] | None


class Sources(Protocol):
    """Where platforms keep their files; app.py puts a connector behind it."""

    async def describe(self, org_id: str, source: Mapping[str, Any]) -> tuple[SourceObject, ...]:
        """Name, measure and hash what a source holds; raises BadInput or NotFound."""

    async def peek(
        self, org_id: str, source: Mapping[str, Any], objects: Sequence[SourceObject], rows: int
    ) -> Sequence[Table]:
        """Read schemas, and up to `rows` rows, of those objects that are tables.

        Never raises for what a file holds: one that cannot be read is left out.
        """

    async def store(self, org_id: str, name: str, chunks: AsyncIterator[bytes]) -> SourceObject:
        """Keep an uploaded file among the organisation's own; raises BadInput."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a platform says of an offering. Times are whole days."""

    kind: Kind
    title_en: str
    title_zh: str
    description_en: str
    description_zh: str
    classification: Literal["general", "important", "core"]
    personal_information: Literal["none", "personal", "sensitive"]
    purposes: tuple[str, ...]
    max_days: int
    jurisdictions: tuple[str, ...]
    min_evidence: Literal["self_declared", "verified", "certified"]
    approval: Literal["automatic", "provider"]
    sizes: tuple[Literal["micro", "small", "medium", "large"], ...]
    max_sessions: int | None
    source: Mapping[str, Any]
    industries: tuple[str, ...] = ()
    approvers: int = 1
    answer_days: int = 14
    terms_en: str = ""
    terms_zh: str = ""
    form: tuple[FormField, ...] = ()
    audience: tuple[str, ...] | None = None
    sample_rows: int = 0
    limits: Mapping[str, Any] = field(default_factory=dict)  # as `Limits` of the policy's input
    sandbox: bool = False  # for anyone registered to try, see exchange.catalog.sandbox

    @property
    def rows_shown(self) -> int:
        """How many rows of its data may be shown beforehand: none of what needs protection."""
        harmless = self.personal_information == "none" and self.classification == "general"
        return self.sample_rows if harmless and self.kind == "dataset" else 0

    @property
    def terms_digest(self) -> str | None:
        """`sha256:…` of the legal text that an applicant accepts; None where there is none.

        Over the canonical JSON of `{"en": …, "zh": …}` (RFC 8785).
        """
        if not self.terms_en and not self.terms_zh:
            return None
        text = canonical.encode({"en": self.terms_en, "zh": self.terms_zh})
        return "sha256:" + hashlib.sha256(text).hexdigest()

    def as_document(self) -> dict[str, Any]:
        """Return the terms as JSON: what a version keeps, and what its leaf hashes."""
        document = asdict(self)
        document["source"], document["limits"] = dict(self.source), dict(self.limits)
        document["form"] = [{**each, "choices": list(each["choices"])} for each in document["form"]]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in document.items()}


LISTS = ("purposes", "jurisdictions", "sizes", "industries")


def terms_of(document: Mapping[str, Any]) -> Terms:
    """Read stored terms back; what older ones lack has its default."""
    values: dict[str, Any] = {k: tuple(v) if k in LISTS else v for k, v in document.items()}
    values["form"] = tuple(form_field_of(each) for each in document.get("form", ()))
    if values.get("audience") is not None:
        values["audience"] = tuple(values["audience"])
    return Terms(**values)


@dataclass(frozen=True, slots=True)
class Version:
    """A published version as it was; the event is its leaf."""

    number: int
    terms: Terms
    objects: tuple[SourceObject, ...]
    published_ms: int
    event_id: str


@dataclass(frozen=True, slots=True)
class Offering:
    """One version of an offering. Drafts change freely; each publication is a new version."""

    id: str
    provider_id: str
    version: int
    status: OfferingStatus
    terms: Terms
    objects: tuple[SourceObject, ...]
    rev: int
    created_ms: int
    changed_ms: int
    holds: int = 0  # open ones: any suspends

    @property
    def standing(self) -> Standing:
        """What it counts as: a published offering is suspended while a hold is open."""
        return "suspended" if self.holds and self.status == "published" else self.status

    def is_shown_to(self, org_id: str) -> bool:
        """Whether an organisation may know of it: its platform, or anybody if it is not private.

        A private offering is known to its audience only; a draft to nobody else.
        """
        if org_id == self.provider_id:
            return True
        audience = self.terms.audience
        return self.status != "draft" and (audience is None or org_id in audience)

    def policy_terms(self) -> OfferingTerms:
        """Return the part of the input document that speaks of the offering."""
        terms = self.terms
        return {
            "id": self.id,
            "version": max(self.version, 1),
            "status": self.standing,
            "kind": terms.kind,
            "classification": terms.classification,
            "personal_information": terms.personal_information,
            "purposes": list(terms.purposes),
            "max_days": terms.max_days,
            "jurisdictions": list(terms.jurisdictions),
            "min_evidence": terms.min_evidence,
            "approval": terms.approval,
            "approvers": terms.approvers,
            "sizes": list(terms.sizes),
            "max_sessions": terms.max_sessions,
            "limits": cast("Limits", terms.limits),
            "sandbox": terms.sandbox,
        }


def revise(offering: Offering, terms: Terms) -> Offering:
    """Take new terms: into a draft in place; into a published offering as its next version."""
    if offering.status == "withdrawn":
        raise Conflict("offering_withdrawn", "A withdrawn offering does not change any more.")
    if terms.kind != offering.terms.kind:
        raise Conflict("kind_fixed", "The kind of an offering never changes: make a new one.")
    return replace(offering, terms=terms)


def publish(offering: Offering, objects: tuple[SourceObject, ...]) -> Offering:
    """Publish the terms and the data as they are now, as the next version."""
    if offering.status == "withdrawn":
        raise Conflict("offering_withdrawn", "A withdrawn offering is not published again.")
    if offering.holds:
        raise Conflict(
            "offering_suspended",
            "Nothing new is published while a hold is open on the offering.",
            hint="GET /v1/holds?target=OFFERING says who placed it and why; it may be withdrawn.",
        )
    return replace(offering, status="published", version=offering.version + 1, objects=objects)


def withdraw(offering: Offering) -> Offering:
    """Take a published offering off the catalog: no new grants; existing ones go on."""
    if offering.status != "published":
        raise Conflict("offering_not_published", "Only a published offering can be withdrawn.")
    return replace(offering, status="withdrawn")
