"""Routes of the catalog: parse, call one verb, answer."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field, StringConstraints, field_validator

from exchange.catalog.model import Kind, Offering, Sources, Terms
from exchange.catalog.publish_offering import (
    draft_offering,
    publish_offering,
    revise_offering,
    withdraw_offering,
)
from exchange.catalog.store import Catalog, unknown_offering
from exchange.clock import rfc3339
from exchange.http import (
    ONE_LINE,
    SOME_LINES,
    Body,
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)
from exchange.ledger.ledger import Ledger
from exchange.participants.model import Evidence
from exchange.participants.store import Participants
from exchange.policy.model import LARGEST

OfferingId = Annotated[
    str, Path(pattern="^off_[0-9a-hjkmnp-tv-z]{26}$", examples=["off_" + "0" * 26])
]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=ONE_LINE)]
Description = Annotated[str, StringConstraints(max_length=5000, pattern=SOME_LINES)]
Purpose = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,63}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Size = Literal["micro", "small", "medium", "large"]
# One file, or a folder of files, among those that the platform uploaded.
SourcePath = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", max_length=200
    ),
]


FILE = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def _small_and_medium() -> list[Size]:
    return ["micro", "small", "medium"]


class FilesSource(Body):
    """Where a dataset's files are."""

    connector: Literal["files"] = "files"
    path: SourcePath = Field(examples=["flights.parquet"])


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
    source: FilesSource | None = Field(None, description="Needed by datasets to be published")

    @field_validator("purposes", "jurisdictions", "sizes")
    @classmethod
    def _once_each(cls, values: list[str]) -> list[str]:
        if len(set(values)) != len(values):
            raise ValueError("each value once")
        return values

    def terms(self) -> Terms:
        """Return the domain's type."""
        values = self.model_dump(exclude={"source"})
        values.update({k: tuple(values[k]) for k in ("purposes", "jurisdictions", "sizes")})
        return Terms(**values, source=self.source.model_dump() if self.source else {})


class ObjectOut(Body):
    """One file of the published version."""

    name: str
    bytes: int
    sha256: str
    media_type: str


class OfferingOut(Body):
    """An offering as published (or the draft before)."""

    id: str
    provider_id: str
    version: int
    status: Literal["draft", "published", "withdrawn"]
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
    source: dict[str, Any] | None = Field(None, description="Shown to its platform only")
    objects: list[ObjectOut]
    created_at: str
    changed_at: str


def router(
    ledger: Ledger, catalog: Catalog, participants: Participants, sources: Sources, page_items: int
) -> APIRouter:
    """Return the routes of the catalog."""
    routes = APIRouter(prefix="/v1", tags=["catalog"], route_class=JSONRoute)
    reader = caller_with("catalog")
    platform = caller_with("offerings", "platform")

    @routes.put(
        "/files/{name}",
        status_code=201,
        responses=problems(400, 401, 403, 409, 413, 422, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": FILE}},
    )
    async def put_file(
        name: Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")],
        request: Request,
        caller: Annotated[Caller, platform],
    ) -> ObjectOut:
        """Upload a file for your offerings (platform): the body is the file's bytes."""
        stored = await sources.store(caller.org_id, name, request.stream())
        return ObjectOut(**_object(stored))

    @routes.post("/offerings", status_code=201, responses=problems(400, 401, 403, 415, 422, 503))
    async def post_offering(
        body: OfferingIn,
        caller: Annotated[Caller, platform],
        idempotency_key: IdempotencyKey = None,
    ) -> OfferingOut:
        """Write the draft of an offering (platform)."""
        offering = await draft_offering(ledger, catalog, caller, body.terms(), idempotency_key)
        return _out(offering, caller)

    @routes.get("/offerings", responses=problems(400, 401, 403, 422, 503))
    async def get_offerings(
        caller: Annotated[Caller, reader],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[OfferingOut]:
        """List published offerings, and your own in every state."""
        found = await catalog.list(
            decode_cursor(cursor),
            limit + 1,
            provider_id=caller.org_id,
            all_states=caller.may("operator", "auditor"),
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[_out(o, caller) for o in found[:limit]], next=more)

    @routes.get("/offerings/{offering_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_offering(
        offering_id: OfferingId, caller: Annotated[Caller, reader]
    ) -> OfferingOut:
        """Show an offering."""
        offering = await catalog.offering(offering_id)
        if offering.status == "draft" and not _sees_all(offering, caller):
            raise unknown_offering()
        return _out(offering, caller)

    @routes.put(
        "/offerings/{offering_id}", responses=problems(400, 401, 403, 404, 409, 415, 422, 503)
    )
    async def put_offering(
        offering_id: OfferingId, body: OfferingIn, caller: Annotated[Caller, platform]
    ) -> OfferingOut:
        """Take new terms: into the draft, or as the published offering's next version."""
        offering = await revise_offering(
            ledger, catalog, sources, caller, offering_id, body.terms()
        )
        return _out(offering, caller)

    @routes.post(
        "/offerings/{offering_id}/publish",
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def post_publish(
        offering_id: OfferingId, caller: Annotated[Caller, platform]
    ) -> OfferingOut:
        """Publish the terms and the data as they are now, as the next version."""
        offering = await publish_offering(
            ledger, catalog, participants, sources, caller, offering_id
        )
        return _out(offering, caller)

    @routes.post(
        "/offerings/{offering_id}/withdraw", responses=problems(401, 403, 404, 409, 422, 503)
    )
    async def post_withdraw(
        offering_id: OfferingId, caller: Annotated[Caller, platform]
    ) -> OfferingOut:
        """Withdraw: no new grants; existing grants go on to their end."""
        return _out(await withdraw_offering(ledger, catalog, caller, offering_id), caller)

    return routes


def _sees_all(offering: Offering, caller: Caller) -> bool:
    return offering.provider_id == caller.org_id or caller.may("operator", "auditor")


def _object(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in ("name", "bytes", "sha256", "media_type")}


def _out(offering: Offering, caller: Caller) -> OfferingOut:
    terms = offering.terms.as_document()
    source = terms.pop("source")
    return OfferingOut(
        id=offering.id,
        provider_id=offering.provider_id,
        version=offering.version,
        status=offering.status,
        source=source if _sees_all(offering, caller) else None,
        objects=[ObjectOut(**_object(o)) for o in offering.objects],
        created_at=rfc3339(offering.created_ms),
        changed_at=rfc3339(offering.changed_ms),
        **terms,
    )
