"""What of a request the gateway's walk looks at."""

from fastapi import Request

from connectors.gateway.verify import Allowed, Asking

PREFIX = "/gateway"


def asking(request: Request, action: str | None = None) -> Asking:
    """Return it; the path is as it was sent, since that is what a proof was signed for."""
    headers = request.headers
    path = (request.scope.get("raw_path") or b"").decode("latin-1")
    return Asking(
        headers.getlist("authorization"),
        headers.getlist("dpop"),
        request.scope["method"],
        path.removeprefix(PREFIX),
        action,
    )


def offer_nonce(request: Request, allowed: Allowed) -> None:
    """Let the answer bring a nonce for the next proof (RFC 9449 section 8.2)."""
    request.state.dpop_nonce = allowed.nonce
