"""The gateway's refusals as problem documents (RFC 9457), each with a hint on what to do next.

    GatewayProblem          status
    ├── BadToken            401   no token, or one that is not accepted (RFC 6750 section 3)
    ├── Refused             403   the grant does not allow it (now); also 404, 409, 429 by its code
    ├── NotHere             404   no such grant, no such object
    └── NotNow              503   a part that a safe answer needs does not answer

`connectors.gateway.source.SourceProblem` is one more, raised by sources of data.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from exchange.formats.dpop import SIGNING_ALGORITHMS

PROBLEM = "application/problem+json"

_TITLES = {
    400: "The request is not valid",
    401: "Authentication is required",
    403: "The grant does not allow this",
    404: "Not found",
    408: "The request took too long",
    409: "The current state does not allow this",
    412: "A precondition does not hold",
    413: "Too large",
    416: "The range is not available",
    422: "The request is not valid",
    429: "Too much at once",
    502: "The platform's service gives no answer that can be passed on",
    503: "Temporarily unavailable",
    504: "The platform's service took too long",
    507: "No room",
}

_ALGS = " ".join(SIGNING_ALGORITHMS)

_HINTS = {
    "token_missing": "Send `Authorization: DPoP TOKEN` and a proof, or `Bearer TOKEN`, with a "
    "token that was issued for this grant (scope=grant:ID at the exchange's token endpoint).",
    "dpop_proof_missing": "The token is bound to a key: send `Authorization: DPoP TOKEN` and a "
    "proof signed with that key (RFC 9449).",
    "dpop_nonce_needed": "Sign the proof again, with the nonce of the header DPoP-Nonce.",
    "dpop_replayed": "Sign a new proof for each request (RFC 9449 section 4.3).",
    "action_not_granted": "The token's authorization_details say which actions it is for.",
    "grant_suspended": "A hold stands for now: the same grant works again once it is lifted. Its "
    "record at the exchange says who placed it and why.",
    "grant_revoked": "A revoked grant never returns. Request access anew.",
    "grant_ended": "The grant's time is over. Request access anew.",
    "sessions_exhausted": "Renew the grant for a new allowance, or request access anew.",
    "object_changed": "Tell the platform: it has to publish a new version of the offering.",
}


class GatewayProblem(Exception):
    """A refusal. `detail` and `hint` are shown to the caller; `__cause__` is the operator's."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.detail = detail
        self.title = title or _TITLES[status]
        self.hint = hint or _HINTS.get(code)
        self.headers = dict(headers or {})
        self.members: Mapping[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """Return the problem document, without the request's id."""
        members: dict[str, Any] = {
            "type": f"urn:exchange:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.hint:
            members["hint"] = self.hint
        return {**members, **self.members}


class BadToken(GatewayProblem):
    """The caller did not show an acceptable token (RFC 6750 section 3, RFC 9449 section 7.1)."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        scheme: str = "bearer",
        error: str = "invalid_token",
        nonce: str | None = None,
    ) -> None:
        # Section 3.1: no error code where no authentication was tried; both schemes then.
        told = [] if code == "token_missing" else [f'error="{error}"']
        bearer, dpop = ("Bearer", told), ("DPoP", [*told, f'algs="{_ALGS}"'])
        self._offered = [dpop] if scheme == "dpop" else [bearer] if told else [dpop, bearer]
        headers = {"WWW-Authenticate": self.challenge()}
        if nonce is not None:
            headers["DPoP-Nonce"] = nonce
        super().__init__(code, 401, detail, hint=hint, headers=headers)

    def challenge(self, resource_metadata: str | None = None) -> str:
        """Return the challenge; `resource_metadata` is the URL of RFC 9728 section 5.1."""
        more = [f'resource_metadata="{resource_metadata}"'] if resource_metadata else []
        return ", ".join(
            f"{scheme} {', '.join([*told, *more])}".rstrip() for scheme, told in self._offered
        )


class Refused(GatewayProblem):
    """The token is good, and does not allow this."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int = 403,
        hint: str | None = None,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, status, detail, hint=hint, headers=headers)
        self.members = dict(members or {})


class NotHere(GatewayProblem):
    """Nothing of that name under this grant."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, 404, detail)


class NotNow(GatewayProblem):
    """Something that a safe answer needs is away: nothing was delivered, nothing was recorded."""

    def __init__(self, code: str, detail: str) -> None:
        hint = "Nothing was delivered. Try again shortly."
        super().__init__(code, 503, detail, hint=hint, headers={"Retry-After": "1"})


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["urn:exchange:problem:grant_revoked"])
    title: str
    status: int
    detail: str
    hint: str | None = None
    request_id: str | None = None


async def answer_problem(request: Request, problem: Exception) -> JSONResponse:
    """Answer with a GatewayProblem's public face: register it as that class's handler."""
    if not isinstance(problem, GatewayProblem):
        raise problem
    document = problem.document()
    document["request_id"] = getattr(request.state, "request_id", None)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **problem.headers}
    if isinstance(problem, BadToken):
        metadata = getattr(request.state, "resource_metadata", None)
        headers["WWW-Authenticate"] = problem.challenge(metadata)
    return JSONResponse(document, problem.status, headers, PROBLEM)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for problem documents of these statuses."""
    schema = Problem.model_json_schema()
    return {
        status: {"description": _TITLES[status], "content": {PROBLEM: {"schema": schema}}}
        for status in statuses
    }
