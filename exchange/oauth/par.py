"""Pushed authorization requests (RFC 9126): what a browser will be sent for, told beforehand.

The code flow comes with people's sign-in; a request that is pushed here waits under its
`request_uri`, good once, for the client that pushed it, and for a minute and a half. It is checked
as a token request is, so nothing is kept that the token endpoint would refuse by itself.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from exchange.formats.errors import FormatError
from exchange.formats.jwk import decode_base64url
from exchange.formats.shown import Nonces
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met, Once, Write
from exchange.oauth.asked import check_resource, parse_asked
from exchange.oauth.dpop import Bound, bind
from exchange.oauth.model import ApiScopes, Party, Refused
from exchange.oauth.party import own_reads, used_before
from exchange.oauth.token_endpoint import Incoming
from exchange.settings import Settings

PATH = "/oauth/par"
SECONDS = 90
URN = "urn:ietf:params:oauth:request_uri:"
CHALLENGE_METHODS = ("S256",)
LOOPBACK = ("127.0.0.1", "::1")
_CHALLENGE = re.compile("[A-Za-z0-9_-]{43}")
_URI = re.compile(
    r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
)  # RFC 3986, no fragment
_CREDENTIALS = ("client_assertion", "client_assertion_type", "client_secret")


async def push_request(
    ledger: Ledger,
    party: Party,
    incoming: Incoming,
    nonces: Nonces,
    settings: Settings,
    now_ms: int,
) -> dict[str, Any]:
    """Check a request as the authorization endpoint will, keep it; raises Refused, Stale.

    A proof, or `dpop_jkt`, binds it to a key (RFC 9449 section 10); without one it is bound later.
    """
    asked = {name: value for name, value in incoming.form.items() if name not in _CREDENTIALS}
    check_request(asked, party, settings)
    bound = _bind(incoming, party, nonces, settings, now_ms)
    reference = secrets.token_urlsafe(32)
    once = Once(
        f"par:{hashlib.sha256(reference.encode()).hexdigest()}",
        now_ms + SECONDS * 1000,
        {
            "client_id": party.client.id,
            "request": asked,
            "jkt": bound.jkt if bound is not None else asked.get("dpop_jkt"),
        },
    )
    spent = [once] if bound is None else [bound.once, once]
    result = await ledger.commit(Write(once=spent, reads=own_reads(party)))
    if isinstance(result, Met):
        raise used_before(result)
    return {"request_uri": URN + reference, "expires_in": SECONDS}


def check_request(asked: Mapping[str, str], party: Party, settings: Settings) -> None:
    """Check the parameters (RFC 6749 section 4.1.1, RFC 7636, RFC 9126 section 2.1)."""
    if "request_uri" in asked or "request" in asked:
        raise Refused("invalid_request", "Send the parameters themselves, not request(_uri).")
    if asked.get("client_id", party.client.id) != party.client.id:
        raise Refused("invalid_request", "client_id names another client than the one that asks.")
    if asked.get("response_type") != "code":
        raise Refused("unsupported_response_type", "The response_type must be code.")
    if asked.get("code_challenge_method") not in CHALLENGE_METHODS or not _CHALLENGE.fullmatch(
        asked.get("code_challenge", "")
    ):
        raise Refused("invalid_request", "PKCE is needed: a code_challenge by S256 (RFC 7636).")
    _check_redirect(asked.get("redirect_uri", ""))
    if "dpop_jkt" in asked and not _is_thumbprint(asked["dpop_jkt"]):
        raise Refused("invalid_request", "dpop_jkt must be a SHA-256 thumbprint (RFC 7638).")
    is_api = isinstance(parse_asked(asked, party), ApiScopes)
    audience = settings.issuer_url if is_api else settings.connector_url
    check_resource(asked.get("resource"), audience)


def _bind(
    incoming: Incoming, party: Party, nonces: Nonces, settings: Settings, now_ms: int
) -> Bound | None:
    """Judge a proof as the token endpoint does; without one nothing is bound yet, by any client."""
    if not incoming.proofs:
        return None
    url = settings.issuer_url + PATH
    bound = bind(incoming.proofs, party.client, nonces, url=url, now=now_ms / 1000)
    if bound is not None and incoming.form.get("dpop_jkt", bound.jkt) != bound.jkt:
        raise Refused("invalid_dpop_proof", "dpop_jkt names another key than the proof's.")
    return bound


def _is_thumbprint(text: str) -> bool:
    try:
        return len(text) == 43 and len(decode_base64url(text)) == 32
    except FormatError:
        return False


def _check_redirect(uri: str) -> None:
    """Take https, or plain http to a program on this very machine (RFC 8252 section 7.3)."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
        is_plain = parts.username is None and parts.password is None and not parts.fragment
        is_right = is_plain and bool(_URI.fullmatch(uri)) and "%" not in parts.netloc
        is_right &= bool(parts.hostname)
        is_right &= parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in LOOPBACK
        )
    except ValueError:
        is_right = False
    if not is_right:
        raise Refused(
            "invalid_request",
            "redirect_uri must be an https URL without a fragment, or http://127.0.0.1.",
        )
