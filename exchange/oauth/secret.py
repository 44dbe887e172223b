"""Client authentication by a secret (RFC 6749 section 2.3.1), where a client is registered so.

For programs that can do no better, such as Delta Sharing's. The secret is the exchange's own
making, long and random, so guessing is hopeless; but each request shows it, so a key is better.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote_plus

from exchange.ids import is_id
from exchange.oauth.model import NotAuthenticated, Party, Refused, Verified
from exchange.participants.credentials import secret_name
from exchange.participants.model import Client

BASIC, POST = "client_secret_basic", "client_secret_post"
MAX_LENGTH = 512
REALM = 'Basic realm="/oauth/token"'
SecretFits = Callable[[Client | None, str], bool]


@dataclass(frozen=True, slots=True)
class ReceivedSecret:
    """Whom a request says it is from, and the secret that came along; nothing of it verified."""

    client_id: str
    secret: str = field(repr=False)
    method: Literal["client_secret_basic", "client_secret_post"]


def read_basic(header: str, form: Mapping[str, str]) -> ReceivedSecret:
    """Read `Authorization: Basic …`; raises Refused, with 401 as RFC 6749 section 5.2 wants it."""
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic" or len(encoded) > MAX_LENGTH:
            raise ValueError("another scheme")
        pair = base64.b64decode(encoded.strip(), validate=True).decode("ascii")
        name, colon, secret = pair.partition(":")
        client_id, secret = unquote_plus(name, errors="strict"), unquote_plus(secret)
    except (binascii.Error, ValueError) as error:
        raise not_basic("The Authorization header is not Basic with an id and a secret.") from error
    if not colon or not is_id(client_id, "cli") or not secret:
        raise not_basic("The Authorization header does not hold a client's id and its secret.")
    if "client_secret" in form or "client_assertion" in form:
        raise Refused("invalid_request", "Use one way of authentication only.")
    if form.get("client_id", client_id) != client_id:
        raise Refused("invalid_request", "The form and the header name two clients.")
    return ReceivedSecret(client_id, secret, "client_secret_basic")


def read_post(form: Mapping[str, str]) -> ReceivedSecret:
    """Read `client_id` and `client_secret`; raises Refused."""
    client_id, secret = form.get("client_id", ""), form["client_secret"]
    if "client_assertion" in form:
        raise Refused("invalid_request", "Use one way of authentication only.")
    if not is_id(client_id, "cli") or len(secret) > MAX_LENGTH:
        raise Refused("invalid_client", "client_id and client_secret are not a client's.")
    return ReceivedSecret(client_id, secret, "client_secret_post")


def verify_secret(received: ReceivedSecret, party: Party | None, fits: SecretFits) -> Verified:
    """Verify that the secret is `party`'s; raises NotAuthenticated where the rows decide."""
    # One answer, after the same work, for an unknown client, a wrong secret and one that has none.
    is_right = fits(party.client if party is not None else None, received.secret)
    if party is None or not is_right or party.client.auth_method != received.method:
        raise NotAuthenticated(
            "This is no client with this secret, or not one that may send it so.",
            basic=received.method == BASIC,
        )
    party.check_active(basic=received.method == BASIC)
    return Verified(party, secret_name(party.client.secret_hash or ""))


def not_basic(detail: str) -> Refused:
    """Return a refusal of who tried the Authorization header (RFC 6749 section 5.2)."""
    return Refused("invalid_client", detail, status=401, headers={"WWW-Authenticate": REALM})
