"""Pushed authorization requests (RFC 9126): what a browser will be sent for, told beforehand.

The code flow comes with people's sign-in; a request that is pushed here waits under its
`request_uri`, good once, for the client that pushed it, and for a minute and a half.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Once, Write
from exchange.oauth.model import Party, Refused
from exchange.oauth.party import own_reads
from exchange.oauth.rar import parse_details

SECONDS = 90
URN = "urn:ietf:params:oauth:request_uri:"
LOOPBACK = ("127.0.0.1", "::1")
_CHALLENGE = re.compile("[A-Za-z0-9_-]{43}")
_CREDENTIALS = ("client_assertion", "client_assertion_type", "client_secret")


async def push_request(
    ledger: Ledger, party: Party, form: Mapping[str, str], now_ms: int
) -> dict[str, Any]:
    """Check a request as the authorization endpoint will, keep it; raises Refused, Stale."""
    asked = {name: value for name, value in form.items() if name not in _CREDENTIALS}
    check_request(asked, party.client.id)
    reference = secrets.token_urlsafe(32)
    once = Once(
        f"par:{hashlib.sha256(reference.encode()).hexdigest()}",
        now_ms + SECONDS * 1000,
        {"client_id": party.client.id, "request": asked},
    )
    await ledger.commit(Write(once=[once], reads=own_reads(party)))
    return {"request_uri": URN + reference, "expires_in": SECONDS}


def check_request(asked: Mapping[str, str], client_id: str) -> None:
    """Check the parameters (RFC 6749 section 4.1.1, RFC 7636, RFC 9126 section 2.1)."""
    if "request_uri" in asked or "request" in asked:
        raise Refused("invalid_request", "Send the parameters themselves, not request(_uri).")
    if asked.get("client_id", client_id) != client_id:
        raise Refused("invalid_request", "client_id names another client than the one that asks.")
    if asked.get("response_type") != "code":
        raise Refused("unsupported_response_type", "The response_type must be code.")
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(
        asked.get("code_challenge", "")
    ):
        raise Refused("invalid_request", "PKCE is needed: a code_challenge by S256 (RFC 7636).")
    _check_redirect(asked.get("redirect_uri", ""))
    if "authorization_details" in asked:
        parse_details(asked["authorization_details"])


def _check_redirect(uri: str) -> None:
    """Take https, or plain http to a program on this very machine (RFC 8252 section 7.3)."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
        is_plain = parts.username is None and parts.password is None and not parts.fragment
        is_right = is_plain and "\\" not in uri and "#" not in uri and bool(parts.hostname)
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
