"""Authlib's client, unmodified: private_key_jwt or a secret; it has no DPoP."""

import time
from typing import Any

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwk
from lines import serve

kept: dict[str, Any] = {}


def discover(issuer: str, **how: Any) -> dict[str, Any]:
    """Read the metadata; `how` is what `session_of` takes."""
    kept.update(how=how, issuer=issuer)
    with OAuth2Session() as session:
        url = f"{issuer}/.well-known/oauth-authorization-server"
        kept["metadata"] = session.get(url, withhold_token=True).json()
    return kept["metadata"]


def session_of(
    client_id: str,
    alg: str = "",
    key: dict[str, Any] | None = None,
    secret: str = "",
    method: str = "private_key_jwt",
) -> OAuth2Session:
    """A session by a key or a secret, new for each token: an old one would repeat its `jti`."""
    told = jwk.import_key(key) if key else secret
    session = OAuth2Session(client_id, told, token_endpoint_auth_method=method)
    if key:  # left alone it names the endpoint as `aud`, and that for an hour
        claims = {"exp": int(time.time()) + 60}
        session.register_client_auth_method(PrivateKeyJWT(kept["issuer"], claims=claims, alg=alg))
    return session


def token(parameters: dict[str, str]) -> dict[str, Any]:
    """Client credentials."""
    kept["session"] = session = session_of(**kept["how"])
    url = kept["metadata"]["token_endpoint"]
    return dict(session.fetch_token(url, grant_type="client_credentials", **parameters))


def show(url: str) -> dict[str, Any]:
    """Show the newest token to a resource."""
    answer = kept["session"].get(url)
    return {"status": answer.status_code, "text": answer.text}


def raised(error: Exception) -> dict[str, Any]:
    """Tell an error of the endpoint: its code and words are all that Authlib keeps of it."""
    if not isinstance(error, OAuthError):
        return {}
    return {"error": error.error, "description": error.description}


serve({"discover": discover, "token": token, "show": show}, raised)
