"""Authorization server metadata (RFC 8414), made of settings only."""

from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from exchange.errors import StartUpError
from exchange.oauth import dpop
from exchange.oauth.assertion import SIGNING_ALGORITHMS
from exchange.oauth.par import CHALLENGE_METHODS
from exchange.oauth.par import PATH as PAR_PATH
from exchange.oauth.rar import TYPES
from exchange.oauth.registration import PATH as REGISTRATION_PATH
from exchange.oauth.server import GRANT_TYPES, METHODS
from exchange.oauth.token_endpoint import PATH as TOKEN_PATH
from exchange.participants.model import SCOPES
from exchange.settings import Settings

PATH = "/.well-known/oauth-authorization-server"
JWKS_PATH = "/oauth/jwks"
REVOKE_PATH = "/oauth/revoke"
INTROSPECT_PATH = "/oauth/introspect"


def metadata_paths(settings: Settings) -> list[str]:
    """Return where the document is: as section 3.1 says for the issuer, and at the root."""
    return list(dict.fromkeys([PATH + urlsplit(settings.issuer_url).path, PATH]))


def server_metadata(settings: Settings) -> dict[str, Any]:
    """Return the document; raises StartUpError for an issuer that RFC 8414 does not allow."""
    issuer = settings.issuer_url
    document = {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_PATH,
        "jwks_uri": issuer + JWKS_PATH,
        "registration_endpoint": issuer + REGISTRATION_PATH,
        "response_types_supported": [],
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": sorted(frozenset().union(*SCOPES.values())),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "revocation_endpoint": issuer + REVOKE_PATH,
        "introspection_endpoint": issuer + INTROSPECT_PATH,
        "introspection_signing_alg_values_supported": ["ES256"],
        "pushed_authorization_request_endpoint": issuer + PAR_PATH,
        "code_challenge_methods_supported": list(CHALLENGE_METHODS),
        "dpop_signing_alg_values_supported": list(dpop.SIGNING_ALGORITHMS),
        "authorization_details_types_supported": list(TYPES),
    }
    for endpoint in ("revocation", "introspection"):
        for name in ("methods", "signing_alg_values"):
            of_token = document[f"token_endpoint_auth_{name}_supported"]
            document[f"{endpoint}_endpoint_auth_{name}_supported"] = of_token
    try:
        AuthorizationServerMetadata(document).validate_issuer()
    except ValueError as error:
        raise StartUpError(
            f"The issuer {issuer} cannot be used ({error}). Set EXCHANGE_ISSUER to the public URL: "
            "https, without a query; plain http works on 127.0.0.1 and localhost only."
        ) from error
    return document
