"""Client metadata as it is registered (RFC 7591 section 2, RFC 9449 section 5.2): pure rules.

What a client asks for is honoured as asked, or refused with a reason: never less in silence. Names
that nobody here knows are passed over, as section 2 demands, and so is what only people read, such
as `logo_uri`: the answer names what was registered. Defaults are the profile's, not the RFC's:
private_key_jwt, and tokens bound to a key of the client's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from exchange.formats.errors import FormatError
from exchange.formats.jwk import parse_public_jwks
from exchange.http import ONE_LINE
from exchange.oauth.assertion import SIGNING_ALGORITHMS
from exchange.oauth.model import Refused
from exchange.oauth.server import CLIENT_CREDENTIALS, METHODS
from exchange.participants.model import AuthMethod, Client

PATH = "/oauth/register"
MAX_NAME = 120
GRANT_TYPES = (CLIENT_CREDENTIALS,)
NO_KEYS: Mapping[str, Any] = {"keys": []}
_NAME = re.compile(ONE_LINE)
_JWKS_ONLY = "Send the keys themselves as jwks: no URL of a client is ever fetched."
# What is known and cannot be done here, and why.
_REFUSED = {
    "jwks_uri": _JWKS_ONLY,
    "request_uris": "Requests by reference are not taken.",
    "sector_identifier_uri": "No URL of a client is ever fetched.",
    "client_id": "The id is made here.",
    "client_secret": "A secret is made here, never sent: take it for known to others.",
    "tls_client_certificate_bound_access_tokens": "Tokens are bound by DPoP, not by certificates.",
}
_TLS = "tls_client_auth_"


class NotRegistered(Refused):
    """An error answer of the registration endpoint (RFC 7591 section 3.2.2)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a client asks to be registered as; every member is honoured."""

    name: str
    jwks: Mapping[str, Any]
    auth_method: AuthMethod
    dpop_bound: bool
    signing_alg: str | None


def read_metadata(document: object, allowed_scopes: frozenset[str]) -> Metadata:
    """Read a registration request; raises NotRegistered.

    `allowed_scopes` are those of the organisation's roles: any client of it has these, and a
    document that names others, or not all of them, is refused.
    """
    if not isinstance(document, dict):
        raise _invalid("The body must be a JSON object of client metadata.")
    _refuse_what_cannot_be(document)
    method = document.get("token_endpoint_auth_method", "private_key_jwt")
    if method not in METHODS:
        raise _invalid(f"token_endpoint_auth_method must be one of {', '.join(METHODS)}.")
    jwks = _keys(document, with_keys=method == "private_key_jwt")
    _flows(document)
    _check_scope(document, allowed_scopes)
    return Metadata(
        name=_name(document.get("client_name", "client")),
        jwks=jwks,
        auth_method=cast(AuthMethod, method),
        dpop_bound=_flag(document, "dpop_bound_access_tokens", default=True),
        signing_alg=_signing_alg(document, jwks),
    )


def registered(
    client: Client, wanted: Metadata, allowed_scopes: frozenset[str], secret: str | None
) -> dict[str, Any]:
    """Return the answer (section 3.2.1): what was registered, and the secret this once."""
    told: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created_ms // 1000,
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": list(GRANT_TYPES),
        "response_types": [],
        "dpop_bound_access_tokens": client.dpop_bound,
        "scope": " ".join(sorted(allowed_scopes)),
        "organisation_id": client.org_id,
        "status": client.status,
    }
    if client.jwks["keys"]:
        told["jwks"] = dict(client.jwks)
    if wanted.signing_alg is not None:
        told["token_endpoint_auth_signing_alg"] = wanted.signing_alg
    if secret is not None:
        told |= {"client_secret": secret, "client_secret_expires_at": 0}
    return told


def _refuse_what_cannot_be(document: Mapping[str, Any]) -> None:
    if "software_statement" in document:
        raise NotRegistered(
            "unapproved_software_statement", "No software statement is accepted here."
        )
    for name, why in _REFUSED.items():
        if document.get(name) not in (None, False, [], ""):
            raise _invalid(f"{name}: {why}")
    if any(document[name] is not None for name in document if name.startswith(_TLS)):
        raise _invalid("Clients authenticate by keys or a secret, not by TLS certificates.")


def _keys(document: Mapping[str, Any], *, with_keys: bool) -> Mapping[str, Any]:
    jwks = document.get("jwks")
    if not with_keys:
        if jwks is not None:
            raise _invalid("jwks: a client that authenticates by a secret has no keys.")
        return NO_KEYS
    if jwks is None:
        raise _invalid("private_key_jwt needs jwks: the client's public keys.")
    try:
        return parse_public_jwks(jwks)
    except FormatError as error:
        raise _invalid(f"jwks: {error}.") from error


def _flows(document: Mapping[str, Any]) -> None:
    if _texts(document, "redirect_uris"):
        raise NotRegistered(
            "invalid_redirect_uri", "No flow of this server redirects: leave redirect_uris out."
        )
    unknown = [each for each in _texts(document, "grant_types") if each not in GRANT_TYPES]
    if unknown or document.get("grant_types") == []:
        raise _invalid(f"grant_types must be of {', '.join(GRANT_TYPES)}.")
    if _texts(document, "response_types"):
        raise _invalid("response_types: this server has no authorization endpoint.")


def _check_scope(document: Mapping[str, Any], allowed: frozenset[str]) -> None:
    """Refuse a scope that is not the one that the client will have: there is no other to give."""
    text = document.get("scope")
    if text is None:
        return
    if not isinstance(text, str) or set(text.split(" ")) != allowed:
        raise _invalid(
            "scope: the client will have all that the organisation's roles allow, "
            f"{' '.join(sorted(allowed))}. Name these or none; ask for less with each token."
        )


def _signing_alg(document: Mapping[str, Any], jwks: Mapping[str, Any]) -> str | None:
    """Return the algorithm that was named: every key must be for it, since a key has but one."""
    asked = document.get("token_endpoint_auth_signing_alg")
    if asked is None:
        return None
    if asked not in SIGNING_ALGORITHMS or any(key["alg"] != asked for key in jwks["keys"]):
        raise _invalid(
            "token_endpoint_auth_signing_alg must be the alg of every key, one of "
            f"{', '.join(SIGNING_ALGORITHMS)}."
        )
    return str(asked)


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME or not _NAME.fullmatch(value):
        raise _invalid(f"client_name must be one line of 1 to {MAX_NAME} characters.")
    return value


def _flag(document: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = document.get(name, default)
    if not isinstance(value, bool):
        raise _invalid(f"{name} must be true or false.")
    return value


def _texts(document: Mapping[str, Any], name: str) -> Sequence[str]:
    value = document.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _invalid(f"{name} must be a list of strings.")
    return value


def _invalid(description: str) -> NotRegistered:
    return NotRegistered("invalid_client_metadata", description)
