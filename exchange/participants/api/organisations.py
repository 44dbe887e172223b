"""Routes of organisations: parse, call one verb, answer."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints, model_validator

from exchange.clock import rfc3339
from exchange.errors import Forbidden
from exchange.http import (
    ONE_LINE,
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
from exchange.participants.declared import Declared, Figure, check_value
from exchange.participants.model import (
    AttributeName,
    Evidence,
    Organisation,
    Role,
)
from exchange.participants.register_organisation import register_organisation, set_attribute
from exchange.participants.store import Participants

BODY_PATTERN = "[0-9a-hjkmnp-tv-z]{26}"
OrgId = Annotated[str, Path(pattern=f"^org_{BODY_PATTERN}$", examples=["org_" + "0" * 26])]
Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=ONE_LINE)]


class AttributeIn(Body):
    """A value and the evidence for it."""

    value: Figure | Annotated[str, StringConstraints(max_length=64)] = Field(examples=[42])
    evidence: Evidence = "self_declared"


class OrganisationIn(Body):
    """An organisation to register."""

    name_en: Name = Field(examples=["Harbour Freight Analytics"])
    name_zh: Name = Field(examples=["港口货运分析有限公司"])
    roles: Annotated[list[Role], Field(min_length=1, max_length=4, examples=[["sme"]])]
    attributes: Declared = Declared()
    evidence: Evidence = "self_declared"

    @model_validator(mode="after")
    def _roles_once(self) -> "OrganisationIn":
        if len(set(self.roles)) != len(self.roles):
            raise ValueError("each role once")
        return self


class AttributeOut(Body):
    """An attribute with its evidence and how often it was set."""

    value: str | int
    evidence: Evidence
    version: int


class OrganisationOut(Body):
    """A participant."""

    id: str
    name_en: str
    name_zh: str
    roles: list[str]
    status: str
    attributes: dict[str, AttributeOut]
    created_at: str


def router(ledger: Ledger, participants: Participants, page_items: int) -> APIRouter:
    """Return the routes of participants."""
    routes = APIRouter(prefix="/v1", tags=["participants"], route_class=JSONRoute)
    any_role = caller_with("participants")
    operator = caller_with("operate", "operator")

    @routes.post(
        "/organisations", status_code=201, responses=problems(400, 401, 403, 415, 422, 503)
    )
    async def post_organisation(
        body: OrganisationIn,
        caller: Annotated[Caller, operator],
        idempotency_key: IdempotencyKey = None,
    ) -> OrganisationOut:
        """Register an organisation (operator)."""
        declared = body.attributes.model_dump(exclude_none=True)
        organisation = await register_organisation(
            ledger,
            participants,
            caller,
            name_en=body.name_en,
            name_zh=body.name_zh,
            roles=frozenset(body.roles),
            attributes={name: (value, body.evidence) for name, value in declared.items()},
            idempotency_key=idempotency_key,
        )
        return _organisation_out(organisation)

    @routes.get("/organisations", responses=problems(400, 401, 403, 422, 503))
    async def get_organisations(
        caller: Annotated[Caller, any_role],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[OrganisationOut]:
        """List organisations: your own, and whose affairs you may read (`sight` of /v1/me)."""
        found = await participants.list_organisations(
            decode_cursor(cursor), limit + 1, caller.in_sight
        )
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        return Page(items=[_organisation_out(o) for o in found[:limit]], next=more)

    @routes.get("/organisations/{org_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_organisation(
        org_id: OrgId, caller: Annotated[Caller, any_role]
    ) -> OrganisationOut:
        """Show an organisation: your own, or one whose affairs you may read."""
        readable(caller, org_id)
        return _organisation_out(await participants.organisation(org_id))

    @routes.put(
        "/organisations/{org_id}/attributes/{name}",
        responses=problems(400, 401, 403, 404, 415, 422, 503),
    )
    async def put_attribute(
        org_id: OrgId, name: AttributeName, body: AttributeIn, caller: Annotated[Caller, any_role]
    ) -> OrganisationOut:
        """Set an attribute: declare your own, or verify any as operator."""
        check_value(name, body.value)
        organisation = await set_attribute(
            ledger, participants, caller, org_id, name, body.value, body.evidence
        )
        return _organisation_out(organisation)

    return routes


def readable(caller: Caller, org_id: str) -> None:
    """Raise Forbidden unless the caller may read about this organisation."""
    if not caller.reads(org_id):
        raise Forbidden("organisation_not_yours", "You may see your own organisation only.")


def _organisation_out(organisation: Organisation) -> OrganisationOut:
    return OrganisationOut(
        id=organisation.id,
        name_en=organisation.name_en,
        name_zh=organisation.name_zh,
        roles=sorted(organisation.roles),
        status=organisation.status,
        attributes={
            name: AttributeOut(value=a.value, evidence=a.evidence, version=a.version)
            for name, a in organisation.attributes.items()
        },
        created_at=rfc3339(organisation.created_ms),
    )
