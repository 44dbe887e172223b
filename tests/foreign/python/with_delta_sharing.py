"""delta-sharing's client, unmodified: the token requests of its profiles of version 2."""

from typing import Any

import requests
from delta_sharing._internal_auth import AuthCredentialProviderFactory
from delta_sharing.protocol import DeltaSharingProfile
from lines import serve

kept: dict[str, Any] = {}


def profile(document: dict[str, Any]) -> dict[str, Any]:
    """Read a profile as a recipient would."""
    read = DeltaSharingProfile.from_json(document)
    kept["provider"] = AuthCredentialProviderFactory.create_auth_credential_provider(read)
    return {"type": read.type}


def show(url: str, method: str = "GET", body: Any = None) -> dict[str, Any]:
    """Get a token, as before each call, and show it to a resource."""
    with requests.Session() as session:
        kept["provider"].add_auth_header(session)
        answer = session.request(method, url, json=body, timeout=20)
    return {"status": answer.status_code, "text": answer.text}


def raised(error: Exception) -> dict[str, Any]:
    """Tell an error of the endpoint."""
    response = getattr(error, "response", None)
    return {} if response is None else {"status": response.status_code, "body": response.json()}


serve({"profile": profile, "show": show}, raised)
