"""Authlib's core fitted to the exchange: it finds the grant type, authenticates and answers.

The core is synchronous and does no I/O: the rows are loaded before (`TokenRequest`), and between
its two steps the walk decides and commits (token_endpoint.py). Authlib is untyped: `Any` ends here.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    OAuth2Error,
    OAuth2Request,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7523 import JWTBearerGrant

from exchange.oauth.assertion import METHOD, ReceivedAssertion, verify_assertion
from exchange.oauth.jwt_bearer import GRANT_TYPE as JWT_BEARER
from exchange.oauth.jwt_bearer import ReceivedGrant, verify_grant
from exchange.oauth.model import Party, Refused, Terms, Verified
from exchange.oauth.secret import BASIC, POST, ReceivedSecret, SecretFits, verify_secret

CLIENT_CREDENTIALS = ClientCredentialsGrant.GRANT_TYPE
GRANT_TYPES = (CLIENT_CREDENTIALS, JWT_BEARER)
METHODS = (METHOD, BASIC, POST)
Received = ReceivedAssertion | ReceivedSecret
ReceivedAny = Received | ReceivedGrant
Issue = Callable[[Verified, Terms, str | None, int], dict[str, Any]]

# At debug level Authlib writes each token that it issues into the log.
logging.getLogger("authlib").setLevel(logging.INFO)


class TokenRequest(OAuth2Request):  # type: ignore[misc]
    """One token request with the rows that decide it; the core fills in the proof.

    The URI is the configured one: Authlib demands https of it, and no header has a say.
    """

    def __init__(
        self,
        uri: str,
        form: Mapping[str, str],
        received: ReceivedAny,
        party: Party | None,
        now_ms: int,
    ) -> None:
        super().__init__("POST", uri)
        self.payload = BasicOAuth2Payload(form)
        self.received = received
        self.party = party
        self.now_ms = now_ms
        self.grant: Any = None
        self.proof: Verified | None = None
        self.terms: Terms | None = None
        self.jkt: str | None = None  # of the key that the token is bound to


class RegisteredClient(ClientMixin):  # type: ignore[misc]
    """A client as Authlib asks about it: confidential, for machines, with a key or a secret."""

    def __init__(self, client_id: str, method: str) -> None:
        self._client_id, self._method = client_id, method

    def get_client_id(self) -> str:
        """Return its id."""
        return self._client_id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Whether it may authenticate so."""
        return method == self._method and endpoint == "token"

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether it may use this grant type."""
        return grant_type in GRANT_TYPES


class OurTokens:
    """Makes a grant's tokens ours."""

    request: TokenRequest
    server: Any

    def generate_token(self, **_unused: Any) -> Any:
        """Make the token on the walk's terms: Authlib's own live ten days and name no key."""
        request = self.request
        if request.proof is None or request.terms is None:
            raise RuntimeError("no token without proof and terms")
        return self.server.issue(request.proof, request.terms, request.jkt, request.now_ms)


class ClientCredentials(OurTokens, ClientCredentialsGrant):  # type: ignore[misc]
    """RFC 6749 section 4.4 with our client authentication, scopes and tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_requested_scope(self) -> None:
        """Leave it to the walk: Authlib looks at a scope without the organisation's roles."""


class JwtBearer(OurTokens, JWTBearerGrant):  # type: ignore[misc]
    """RFC 7523 section 2.1 by our rules: Authlib's name no algorithms, and no `jti`."""

    def validate_token_request(self) -> None:
        """Verify the JWT, which authenticates too."""
        request: TokenRequest = self.request
        request.client = self.server.by_grant(request)


class TokenServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's authorization server in two steps, so that deciding and committing fit between."""

    def __init__(self, issuer: str, issue: Issue, fits: SecretFits) -> None:
        super().__init__()
        self.issuer = issuer
        self.issue = issue
        self._fits = fits
        self.register_client_auth_method(METHOD, self._by_assertion)
        for method in (BASIC, POST):
            self.register_client_auth_method(method, self._by_secret)
        self.register_grant(ClientCredentials)
        self.register_grant(JwtBearer)

    def begin(self, request: TokenRequest) -> Verified:
        """Authenticate the client; raises Refused."""
        if request.payload.grant_type is None:
            raise Refused("invalid_request", "The parameter grant_type is missing.")
        try:
            request.grant = self.get_token_grant(request)
            request.grant.validate_token_request()
        except UnsupportedGrantTypeError as error:  # its own words would repeat what was sent
            raise Refused(
                "unsupported_grant_type", f"The grant_type must be {' or '.join(GRANT_TYPES)}."
            ) from error
        except OAuth2Error as error:
            raise Refused(error.error, error.get_error_description() or error.error) from error
        if request.proof is None:
            raise RuntimeError("the core let a request pass that proved nothing")
        return request.proof

    def finish(self, request: TokenRequest, terms: Terms, jkt: str | None) -> dict[str, Any]:
        """Make the answer; only after what is good once was spent."""
        request.terms, request.jkt = terms, jkt
        _status, answer, _headers = request.grant.create_token_response()
        return dict(answer)

    def _by_assertion(self, _query: object, request: TokenRequest) -> RegisteredClient | None:
        if not isinstance(request.received, ReceivedAssertion):
            return None
        verified = verify_assertion(
            request.received, request.party, issuer=self.issuer, now_ms=request.now_ms
        )
        return self._is_proved(request, verified)

    def _by_secret(self, _query: object, request: TokenRequest) -> RegisteredClient | None:
        if not isinstance(request.received, ReceivedSecret):
            return None
        verified = verify_secret(request.received, request.party, self._fits)
        return self._is_proved(request, verified)

    def by_grant(self, request: TokenRequest) -> RegisteredClient:
        """Return the client whose JWT the grant is; raises Refused."""
        if not isinstance(request.received, ReceivedGrant):
            raise RuntimeError("the JWT was not read")  # noqa: TRY004  no caller's mistake
        verified = verify_grant(
            request.received, request.party, issuer=self.issuer, now_ms=request.now_ms
        )
        return self._is_proved(request, verified)

    def _is_proved(self, request: TokenRequest, verified: Verified) -> RegisteredClient:
        request.proof = verified
        client = verified.party.client
        return RegisteredClient(client.id, client.auth_method)

    def query_client(self, client_id: str) -> None:
        """Look up nothing: the request brings its client."""

    def save_token(self, token: object, request: object) -> None:
        """Save nothing: tokens are self-contained, and what they rest on is in the ledger."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Tell nobody."""
