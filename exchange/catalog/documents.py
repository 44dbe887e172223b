"""The catalog's documents: an offering as platforms send it, and as it is shown."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from exchange.catalog.form import FieldKind, FormField
from exchange.catalog.index import FACETS
from exchange.catalog.limits import LimitsIn, check_limits, check_redirect
from exchange.catalog.model import LISTS, Kind, Offering, Standing, Terms, Version
from exchange.catalog.sandbox import check_sandbox
from exchange.catalog.sources import Source, check_connector, with_connector
from exchange.clock import rfc3339
from exchange.http import ONE_LINE, SOME_LINES, Body, Caller
from exchange.participants.model import Evidence
from exchange.policy.model import LARGEST, Industry

Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]
LongText = Annotated[str, StringConstraints(max_length=50_000, pattern=SOME_LINES)]
OrgId = Annotated[str, StringConstraints(pattern="^org_[0-9a-hjkmnp-tv-z]{26}$")]
Description = Annotated[str, StringConstraints(max_length=5000, pattern=SOME_LINES)]
Purpose = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Size = Literal["micro", "small", "medium", "large"]


def _small_and_medium() -> list[Size]:
    return ["micro", "small", "medium"]


class FormFieldIn(Body):
    """A question to applicants."""

    name: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,39}$")] = Field(
        examples=["intended_use"]
    )
    kind: FieldKind = "text"
    label_en: Title = Field(examples=["What will you use it for?"])
    label_zh: Title = Field(examples=["将用于何处？"])
    required: bool = False
    choices: Annotated[list[Title], Field(max_length=50)] = Field(
        default_factory=list, description="Of kind choice, and of no other"
    )

    @model_validator(mode="after")
    def _choices_of_a_choice(self) -> "FormFieldIn":
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a choice has choices, other kinds have none")
        return self

    def field(self) -> FormField:
        """Return the domain's type."""
        return FormField(**{**self.model_dump(), "choices": tuple(self.choices)})


class OfferingIn(Body):
    """Terms of an offering."""

    kind: Kind = "dataset"
    title_en: Title = Field(examples=["Flights from New York, 2013"])
    title_zh: Title = Field(examples=["2013年纽约出港航班"])
    description_en: Description = ""
    description_zh: Description = ""
    classification: Literal["general", "important", "core"]
    personal_information: Literal["none", "personal", "sensitive"]
    purposes: Annotated[list[Purpose], Field(min_length=1, max_length=32)] = Field(
        examples=[["logistics_planning"]]
    )
    max_days: Annotated[int, Field(ge=1, le=36500, strict=True)] = Field(examples=[90])
    jurisdictions: Annotated[list[Country], Field(min_length=1, max_length=250)] = Field(
        examples=[["CN"]]
    )
    min_evidence: Evidence = "self_declared"
    approval: Literal["automatic", "provider"] = "automatic"
    sizes: Annotated[list[Size], Field(min_length=1, max_length=4)] = Field(
        default_factory=_small_and_medium
    )
    max_sessions: Annotated[int, Field(ge=1, le=LARGEST, strict=True)] | None = Field(
        None, description="Download sessions that a grant allows; none: no limit"
    )
    limits: LimitsIn = Field(default_factory=LimitsIn)
    source: Source | None = Field(None, description="Needed by datasets to be published")
    industries: Annotated[list[Industry], Field(max_length=16)] = Field(
        default_factory=list, description="Which industries it is about, for those who search"
    )
    approvers: Annotated[int, Field(ge=1, le=8, strict=True)] = Field(
        1, description="How many people must approve a request: 2 for four eyes"
    )
    answer_days: Annotated[int, Field(ge=1, le=365, strict=True)] = Field(
        14, description="Days after which a request that nobody answers lapses"
    )
    terms_en: LongText = Field("", description="The legal text that an applicant accepts")
    terms_zh: LongText = ""
    form: Annotated[list[FormFieldIn], Field(max_length=20)] = Field(
        default_factory=list, description="What applicants fill in"
    )
    audience: Annotated[list[OrgId], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Organisations that a private offering is shown to; none: everybody"
    )
    sample_rows: Annotated[int, Field(ge=0, le=50, strict=True)] = Field(
        0, description="Rows of a dataset to show beforehand; never of personal data"
    )
    sandbox: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="Anyone registered may try it at once: harmless, open, of few days and few "
        "calls or bytes, and `trial` among its purposes",
    )

    @field_validator("source", mode="before")
    @classmethod
    def _of_files_by_default(cls, source: Any) -> Any:
        return with_connector(source)

    @field_validator("purposes", "jurisdictions", "sizes", "industries", "audience")
    @classmethod
    def _once_each(cls, values: list[str] | None) -> list[str] | None:
        if values is not None and len(set(values)) != len(values):
            raise ValueError("each value once")
        return values

    @model_validator(mode="after")
    def _sound(self) -> "OfferingIn":
        if len({each.name for each in self.form}) != len(self.form):
            raise ValueError("each field of the form needs a name of its own")
        if self.approvers > 1 and self.approval != "provider":
            raise ValueError("several approvers need an approval: set approval to provider")
        if self.sample_rows and self.personal_information != "none":
            raise ValueError("no sample is shown of personal data: set sample_rows to 0")
        check_connector(self.kind, self.source)
        check_limits(self.kind, self.limits)
        check_redirect(getattr(self.source, "delivery", None), self.limits)
        check_sandbox(self.terms())
        return self

    def terms(self) -> Terms:
        """Return the domain's type."""
        values = self.model_dump(exclude={"source", "form", "limits"})
        values.update({k: tuple(values[k]) for k in LISTS})
        values["audience"] = tuple(self.audience) if self.audience is not None else None
        return Terms(
            **values,
            form=tuple(each.field() for each in self.form),
            limits=self.limits.model_dump(exclude_none=True),
            source=self.source.model_dump() if self.source else {},
        )


class ObjectOut(Body):
    """One file of the published version."""

    name: str
    bytes: int
    sha256: str
    media_type: str


class FormFieldOut(Body):
    """A question to applicants."""

    name: str
    kind: FieldKind
    label_en: str
    label_zh: str
    required: bool
    choices: list[str]


class OfferingOut(Body):
    """An offering as published (or the draft before)."""

    id: str
    provider_id: str
    version: int
    status: Standing
    kind: Kind
    title_en: str
    title_zh: str
    description_en: str
    description_zh: str
    classification: str
    personal_information: str
    purposes: list[str]
    max_days: int
    jurisdictions: list[str]
    min_evidence: str
    approval: str
    sizes: list[str]
    max_sessions: int | None
    limits: LimitsIn
    industries: list[str]
    approvers: int
    answer_days: int
    terms_en: str
    terms_zh: str
    terms_digest: str | None = Field(description="What a request accepts, as `accepted_terms`")
    form: list[FormFieldOut]
    audience: list[str] | None = Field(None, description="Shown to its platform only")
    sample_rows: int
    sandbox: bool = Field(description="Anyone registered may try it at once, as a `trial`")
    source: dict[str, Any] | None = Field(None, description="Shown to its platform only")
    objects: list[ObjectOut]
    created_at: str
    changed_at: str


class VersionOut(Body):
    """A published version, by which requests, decisions and grants name what they saw."""

    version: int
    title_en: str
    title_zh: str
    terms_digest: str | None
    published_at: str
    event_id: str = Field(description="Whose receipt is at /v1/receipts/{event_id}")


def version_out(version: Version) -> VersionOut:
    """Write a version for a list."""
    terms = version.terms
    return VersionOut(
        version=version.number,
        title_en=terms.title_en,
        title_zh=terms.title_zh,
        terms_digest=terms.terms_digest,
        published_at=rfc3339(version.published_ms),
        event_id=version.event_id,
    )


class FacetOut(Body):
    """A facet's value and how many have it."""

    value: str
    count: int


class FacetsOut(Body):
    """How many of what a search finds have each value, most first."""

    total: int = Field(description="How many were counted: 1,000 at most")
    capped: bool = Field(description="Whether there are more, not counted")
    kind: list[FacetOut]
    industry: list[FacetOut]
    classification: list[FacetOut]
    purpose: list[FacetOut]
    jurisdiction: list[FacetOut]
    platform: list[FacetOut]


def facets_out(total: int, capped: bool, counts: Mapping[str, Mapping[str, int]]) -> FacetsOut:
    """Write a search's counts, by facet and value."""

    def ranked(facet: str) -> list[FacetOut]:
        by_count = sorted(counts.get(facet, {}).items(), key=lambda each: (-each[1], each[0]))
        return [FacetOut(value=value, count=count) for value, count in by_count]

    return FacetsOut(total=total, capped=capped, **{facet: ranked(facet) for facet in FACETS})


def may_know(offering: Offering, caller: Caller) -> bool:
    """Whether the caller may know that there is such an offering."""
    return sees_all(offering, caller) or offering.is_shown_to(caller.org_id)


def sees_all(offering: Offering, caller: Caller) -> bool:
    """Whether the caller may see what only its platform does."""
    return caller.reads(offering.provider_id)


def object_document(item: Any) -> dict[str, Any]:
    """Return one file of an offering as JSON."""
    return {name: getattr(item, name) for name in ("name", "bytes", "sha256", "media_type")}


def offering_out(offering: Offering, caller: Caller) -> OfferingOut:
    """Write an offering as this caller may see it."""
    terms = offering.terms.as_document()
    source, audience = terms.pop("source"), terms.pop("audience")
    return OfferingOut(
        id=offering.id,
        provider_id=offering.provider_id,
        version=offering.version,
        status=offering.standing,
        source=source if sees_all(offering, caller) else None,
        audience=audience if sees_all(offering, caller) else None,
        terms_digest=offering.terms.terms_digest,
        objects=[ObjectOut(**object_document(o)) for o in offering.objects],
        created_at=rfc3339(offering.created_ms),
        changed_at=rfc3339(offering.changed_ms),
        **terms,
    )
