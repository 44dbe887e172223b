"""What the routes of clients take and answer."""

from typing import Annotated, Any, Literal

from pydantic import Field

from exchange.clock import rfc3339
from exchange.errors import BadInput
from exchange.formats.errors import FormatError
from exchange.formats.jwk import thumbprint
from exchange.formats.tokens import parse_public_jwks
from exchange.http import Body
from exchange.participants.api.organisations import Name
from exchange.participants.invite_client import DAYS, MAX_DAYS
from exchange.participants.model import AuthMethod, Client, ClientInvitation, ClientStatus
from exchange.participants.secrets import NewSecret

EXAMPLE_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
Jwks = Annotated[
    dict[str, Any],
    Field(
        description="Public JWK Set (RFC 7517): ES256, PS256 or EdDSA keys, 8 at most",
        examples=[{"keys": [EXAMPLE_KEY]}],
    ),
]


class ClientIn(Body):
    """A client to register, by its public keys."""

    name: Name = Field(examples=["nightly import"])
    jwks: Jwks | None = None
    program: bool = Field(
        False,
        description="Owners: a program of the organisation, not a client of your own",
        examples=[False],
    )
    token_endpoint_auth_method: AuthMethod = Field(
        "private_key_jwt",
        description="Others than private_key_jwt: the operator only. A secret instead of keys; or "
        "jwt_bearer, the grant of RFC 7523 section 2.1, for Delta Sharing's private-key profiles",
    )
    dpop_bound_access_tokens: bool = Field(
        True,
        description="Whether its tokens are good with a proof of its key only (RFC 9449); false "
        "lets it have bearer tokens as well",
    )


class KeyIn(Body):
    """A public key to add."""

    jwk: dict[str, Any] = Field(
        description="Public JWK (RFC 7517): ES256, PS256 or EdDSA", examples=[EXAMPLE_KEY]
    )


class ClientOut(Body):
    """A client; its keys are public. `member_id` is the person whose it is, null for a program."""

    id: str
    organisation_id: str
    member_id: str | None
    name: str
    jwks: dict[str, Any]
    key_thumbprints: list[str] = Field(description="Of the keys, in their order (RFC 7638)")
    token_endpoint_auth_method: AuthMethod
    dpop_bound_access_tokens: bool
    status: ClientStatus
    created_at: str


class ClientMadeOut(ClientOut):
    """A client that was just registered; its secret, if it has one, is shown this once."""

    client_secret: str | None = None


class SecretOut(Body):
    """A client with its new secret, which is shown this once."""

    client: ClientOut
    client_secret: str


class ClientInvitationIn(Body):
    """Leave to register one client."""

    days: int = Field(DAYS, ge=1, le=MAX_DAYS, strict=True, description="How long it is good for")
    approved: bool = Field(False, description="Operator: the client need not wait for approval")
    secrets: bool = Field(False, description="Operator: the client may authenticate by a secret")


class ClientInvitationOut(Body):
    """An invitation of a program; `client_id` is what was registered by it."""

    id: str
    organisation_id: str
    status: Literal["open", "used", "withdrawn", "expired"]
    approved: bool
    secrets: bool
    client_id: str | None
    made_by: str
    expires_at: str
    created_at: str


class ClientInvitedOut(Body):
    """An invitation and its token, which is shown once: null where it was made before."""

    invitation: ClientInvitationOut
    initial_access_token: str | None


def read_jwks(document: dict[str, Any]) -> dict[str, Any]:
    """Return a JWK Set of public keys that may be registered; raises BadInput."""
    try:
        return parse_public_jwks(document)
    except FormatError as error:
        raise BadInput("jwks_invalid", f"The JWK Set is refused: {error}", status=422) from error


def client_out(client: Client) -> ClientOut:
    """Return a client as the API shows it."""
    return ClientOut(**_shown(client))


def made_out(client: Client, made: NewSecret | None) -> ClientMadeOut:
    """Return a client that was just registered: of one registered before no secret is known."""
    is_new = made is not None and made.hash == client.secret_hash
    return ClientMadeOut(
        **_shown(client), client_secret=made.text if made is not None and is_new else None
    )


def _shown(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "organisation_id": client.org_id,
        "member_id": client.member_id,
        "name": client.name,
        "jwks": dict(client.jwks),
        "key_thumbprints": [thumbprint(key) for key in client.jwks["keys"]],
        "token_endpoint_auth_method": client.auth_method,
        "dpop_bound_access_tokens": client.dpop_bound,
        "status": client.status,
        "created_at": rfc3339(client.created_ms),
    }


def invitation_out(invitation: ClientInvitation, now_ms: int) -> ClientInvitationOut:
    """Return an invitation as the API shows it: without its token."""
    expired = invitation.status == "open" and not invitation.is_open(now_ms)
    return ClientInvitationOut(
        id=invitation.id,
        organisation_id=invitation.org_id,
        status="expired" if expired else invitation.status,
        approved=invitation.approved,
        secrets=invitation.secrets,
        client_id=invitation.client_id,
        made_by=invitation.made_by,
        expires_at=rfc3339(invitation.expires_ms),
        created_at=rfc3339(invitation.created_ms),
    )
