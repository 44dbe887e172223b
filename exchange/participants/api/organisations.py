"""Routes of organisations and their clients: parse, call one verb, answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints, model_validator

from exchange.clock import rfc3339
from exchange.errors import BadInput, Forbidden
from exchange.formats.errors import FormatError
from exchange.formats.tokens import parse_public_jwks
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
    Client,
    ClientStatus,
    Evidence,
    Organisation,
    Role,
)
from exchange.participants.register_client import disable_client, register_client
from exchange.participants.register_organisation import register_organisation, set_attribute
from exchange.participants.store import Participants

BODY_PATTERN = "[0-9a-hjkmnp-tv-z]{26}"
OrgId = Annotated[str, Path(pattern=f"^org_{BODY_PATTERN}$", examples=["org_" + "0" * 26])]
ClientId = Annotated[str, Path(pattern=f"^cli_{BODY_PATTERN}$", examples=["cli_" + "0" * 26])]
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


Jwks = Annotated[
    dict[str, Any],
    Field(
        description="Public JWK Set (RFC 7517): ES256, PS256 or EdDSA keys, 8 at most",
        examples=[
            {
                "keys": [
                    {
                        "kty": "EC",
                        "crv": "P-256",
                        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
                    }
                ]
            }
        ],
    ),
]


class ClientIn(Body):
    """A client to register, by its public keys."""

    name: Name = Field(examples=["nightly import"])
    jwks: Jwks
    program: bool = Field(
        False,
        description="Owners: a program of the organisation, not a client of your own",
        examples=[False],
    )


class ClientOut(Body):
    """A client; its keys are public. `member_id` is the person whose it is, null for a program."""

    id: str
    organisation_id: str
    member_id: str | None
    name: str
    jwks: dict[str, Any]
    status: ClientStatus
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

    @routes.post(
        "/organisations/{org_id}/clients",
        status_code=201,
        responses=problems(400, 401, 403, 404, 409, 415, 422, 503),
    )
    async def post_client(
        org_id: OrgId,
        body: ClientIn,
        caller: Annotated[Caller, any_role],
        idempotency_key: IdempotencyKey = None,
    ) -> ClientOut:
        """Register a client with its public keys: for your own organisation, or as operator.

        A person's is a client of that person; `program` makes one of the organisation (owners).
        """
        jwks = read_jwks(body.jwks)
        client = await register_client(
            ledger,
            participants,
            caller,
            org_id,
            name=body.name,
            jwks=jwks,
            program=body.program,
            idempotency_key=idempotency_key,
        )
        return client_out(client)

    @routes.get("/organisations/{org_id}/clients", responses=problems(401, 403, 404, 422, 503))
    async def get_clients(org_id: OrgId, caller: Annotated[Caller, any_role]) -> Page[ClientOut]:
        """List an organisation's clients: at most a hundred, so one page."""
        readable(caller, org_id)
        await participants.organisation(org_id)
        return Page(items=[client_out(c) for c in await participants.list_clients(org_id)])

    @routes.post("/clients/{client_id}/disable", responses=problems(401, 403, 404, 422, 503))
    async def post_disable(client_id: ClientId, caller: Annotated[Caller, any_role]) -> ClientOut:
        """Disable a client for good: your own, or any as operator."""
        return client_out(await disable_client(ledger, participants, caller, client_id))

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


def read_jwks(document: dict[str, Any]) -> dict[str, Any]:
    """Return a JWK Set of public keys that may be registered; raises BadInput."""
    try:
        return parse_public_jwks(document)
    except FormatError as error:
        raise BadInput("jwks_invalid", f"The JWK Set is refused: {error}", status=422) from error


def client_out(client: Client) -> ClientOut:
    """Return a client as the API shows it."""
    return ClientOut(
        id=client.id,
        organisation_id=client.org_id,
        member_id=client.member_id,
        name=client.name,
        jwks=dict(client.jwks),
        status=client.status,
        created_at=rfc3339(client.created_ms),
    )
