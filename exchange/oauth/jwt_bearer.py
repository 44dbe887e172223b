"""The JWT bearer grant (RFC 7523 section 2.1), for Delta Sharing's private-key profiles.

Such a client sends one JWT and nothing else: it signs with a key of its own, names itself as `iss`,
and says in it what it asks for, as `scope` and `resource`. The rules are those of client assertions
but for `sub` (section 3 demands one), which it does not send: who signs gets the token, and nobody
else. Only a client that the operator registered so may, and it may authenticate in no other way.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from exchange.ids import is_id
from exchange.oauth.assertion import ReceivedAssertion, read_signed, verify_assertion
from exchange.oauth.model import Party, Refused, Verified
from exchange.participants.model import AuthMethod

METHOD: AuthMethod = "jwt_bearer"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_ASKS = ("scope", "resource")
_CREDENTIALS = ("client_assertion", "client_assertion_type", "client_secret")


@dataclass(frozen=True, slots=True)
class ReceivedGrant:
    """The JWT, nothing of it verified; `form` is the request's with what the JWT asks for."""

    assertion: ReceivedAssertion
    form: Mapping[str, str]

    @property
    def client_id(self) -> str:
        """Whom it names."""
        return self.assertion.client_id


def read_grant(form: Mapping[str, str], authorization: str | None) -> ReceivedGrant:
    """Read the JWT out of a token request; raises Refused."""
    if authorization is not None or any(name in form for name in _CREDENTIALS):
        raise Refused("invalid_request", "With this grant_type the assertion authenticates.")
    if "assertion" not in form:
        raise Refused("invalid_request", "The parameter assertion is missing.")
    with _of_the_grant():
        jws, claims = read_signed(form["assertion"])
        client_id = claims.get("iss")
        if not isinstance(client_id, str) or not is_id(client_id, "cli"):
            raise Refused("invalid_grant", "The assertion's iss is not a client's id.")
        if claims.get("sub", client_id) != client_id:
            raise Refused("invalid_grant", "The assertion's sub, if it has one, must be its iss.")
        if form.get("client_id", client_id) != client_id:
            raise Refused("invalid_grant", "iss and client_id must name one client.")
    asked = {name: claims[name] for name in _ASKS if name in claims}
    if not all(isinstance(value, str) and value for value in asked.values()):
        raise Refused("invalid_grant", "scope and resource of the assertion must be strings.")
    if not asked.keys().isdisjoint(form):
        raise Refused("invalid_request", "Ask in the assertion or beside it, not in both.")
    return ReceivedGrant(ReceivedAssertion(client_id, jws, claims), {**form, **asked})


def verify_grant(
    received: ReceivedGrant, party: Party | None, *, issuer: str, now_ms: int
) -> Verified:
    """Verify the JWT as `party`'s; raises Refused, NotAuthenticated where the rows decide."""
    with _of_the_grant():
        return verify_assertion(
            received.assertion, party, issuer=issuer, now_ms=now_ms, method=METHOD
        )


@contextmanager
def _of_the_grant() -> Iterator[None]:
    """What is wrong with the JWT is wrong with a grant, not a client (RFC 7523 section 3.1)."""
    try:
        yield
    except Refused as refusal:
        refusal.error = "invalid_grant"
        raise
