"""requests-oauth2client, unmodified: private_key_jwt, DPoP, authorization_details."""

from typing import Any

import requests
from lines import serve
from requests_oauth2client import (
    DPoPKey,
    EndpointError,
    OAuth2Client,
    PrivateKeyJwt,
    oauth2_discovery_document_url,
)

kept: dict[str, Any] = {}


def discover(
    issuer: str, client_id: str, alg: str, key: dict[str, Any], dpop_alg: str
) -> dict[str, Any]:
    """Find the server by its issuer. The library would name the endpoint as `aud`: told not to."""
    client = OAuth2Client.from_discovery_endpoint(
        oauth2_discovery_document_url(issuer),
        issuer=issuer,
        auth=PrivateKeyJwt(client_id, key, alg=alg, aud=issuer),
        dpop_bound_access_tokens=True,
        testing=True,  # plain http, on loopback
    )
    kept.update(client=client, dpop_key=DPoPKey.generate(dpop_alg))
    return {"token_endpoint": client.token_endpoint}


def token(parameters: dict[str, str]) -> dict[str, Any]:
    """Client credentials."""
    answer = kept["client"].client_credentials(dpop_key=kept["dpop_key"], **parameters)
    kept["token"] = answer
    return {
        "token_type": answer.token_type,
        "expires_in": answer.expires_in,
        "scope": answer.scope,
        **answer.kwargs,
    }


def show(url: str) -> dict[str, Any]:
    """Show the newest token to a resource."""
    answer = requests.get(url, auth=kept["token"], timeout=20)
    return {"status": answer.status_code, "text": answer.text}


def raised(error: Exception) -> dict[str, Any]:
    """Tell an error of the endpoint."""
    if not isinstance(error, EndpointError):
        return {}
    return {"error": error.error, "body": error.response.json()}


serve({"discover": discover, "token": token, "show": show}, raised)
