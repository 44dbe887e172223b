"""How a request presents its token; nothing of it is verified here."""

from dataclasses import dataclass

from starlette.requests import Request

from exchange.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Presented:
    """A token as a request presents it, nothing of it verified.

    `scheme` is that of the Authorization header in lower case, `proofs` are the DPoP headers
    (RFC 9449), `path` is as it was sent, without a query.
    """

    scheme: str
    token: str
    proofs: tuple[str, ...]
    method: str
    path: str


def presented(request: Request) -> Presented:
    """Return the request's token (RFC 6750 section 2.1, RFC 9449 section 7.1: headers only)."""
    values = request.headers.getlist("authorization")
    if not values:
        raise Unauthenticated(
            "token_missing", "This needs an API token.", hint="POST /oauth/token gives one."
        )
    scheme, _, token = values[0].partition(" ")
    scheme = scheme.lower()
    if len(values) > 1 or scheme not in ("bearer", "dpop") or not token or " " in token:
        raise Unauthenticated(
            "token_malformed", "Send one header: Authorization: DPoP TOKEN, or Bearer TOKEN."
        )
    proofs = tuple(request.headers.getlist("dpop"))
    path = (request.scope.get("raw_path") or b"/").decode("latin-1")
    return Presented(scheme, token, proofs, request.scope["method"], path)
