"""One family of errors, each with a public face (RFC 9457) and a private one (the cause, logged).

    ExchangeError                      title            status
    ├── BadInput                       what to mend     400 / 413 / 415 / 422
    ├── Unauthenticated                who are you      401
    ├── Forbidden                      not with that    403
    ├── Denied                         policy said no   403, with reasons and remedies
    ├── NotFound                       not here         404
    ├── Conflict                       not any more     409 / 412
    └── Unavailable                    not now          503, with Retry-After

`detail` and `hint` are shown to the caller, so they never hold secrets, paths or another party's
terms. What only the operator may see goes in the exception's `__cause__` or in the log.
"""

from typing import Any, ClassVar, Final

ALGS: Final = "ES256 Ed25519 EdDSA PS256"  # of DPoP proofs (exchange/formats/dpop.py)


class ExchangeError(Exception):
    """Base of all errors that become a problem document."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        members: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.status_code = status or self.status
        self.members = members or {}
        self.headers = headers or {}

    def answer_headers(self, resource_metadata: str | None = None) -> dict[str, str]:
        """Return the answer's headers; the URL is where the metadata of the routes is."""
        return self.headers

    def problem(self) -> dict[str, Any]:
        """Return the problem document (RFC 9457 section 3)."""
        document: dict[str, Any] = {
            "type": f"urn:exchange:problem:{self.code}",
            "title": self.title,
            "status": self.status_code,
            "detail": self.detail,
        }
        if self.hint:
            document["hint"] = self.hint
        return {**document, **self.members}


class BadInput(ExchangeError):
    """The request cannot be understood or breaks a stated limit."""

    status = 400
    title = "The request is not valid"


class Unauthenticated(ExchangeError):
    """No token, or one that is not accepted (RFC 6750 section 3, RFC 9449 section 7.1).

    `scheme` is how it was shown; `error` is the challenge's, where it is not `invalid_token`.
    """

    status = 401
    title = "Authentication is required"

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        scheme: str = "bearer",
        error: str = "invalid_token",
        headers: dict[str, str] | None = None,
    ) -> None:
        # No error code where no authentication was tried, and both schemes then.
        told = [] if code == "token_missing" else [f'error="{error}"']
        bearer, dpop = ("Bearer", told), ("DPoP", [*told, f'algs="{ALGS}"'])
        self._offered = [dpop] if scheme == "dpop" else [bearer] if told else [dpop, bearer]
        super().__init__(code, detail, hint=hint, headers=headers)
        self.headers = self.answer_headers()

    def answer_headers(self, resource_metadata: str | None = None) -> dict[str, str]:
        """Return the headers with the challenge; the URL is that of RFC 9728 section 5.1."""
        more = [f'resource_metadata="{resource_metadata}"'] if resource_metadata else []
        challenge = ", ".join(
            f"{scheme} {', '.join([*told, *more])}".rstrip() for scheme, told in self._offered
        )
        return {**self.headers, "WWW-Authenticate": challenge}


class Forbidden(ExchangeError):
    """The caller is known and may not do this."""

    status = 403
    title = "Not allowed"


class Denied(ExchangeError):
    """The policy refused; `members` carries reasons and remedies."""

    status = 403
    title = "The policy refused"


class NotFound(ExchangeError):
    """Nothing of that name is visible to the caller."""

    status = 404
    title = "Not found"


class Conflict(ExchangeError):
    """The state of things does not allow it (any more)."""

    status = 409
    title = "The current state does not allow this"


class Unavailable(ExchangeError):
    """A part that a safe answer needs does not answer: nothing was done."""

    status = 503
    title = "Temporarily unavailable"

    def __init__(self, code: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(code, detail, hint=hint, headers={"Retry-After": "1"})


class StartUpError(Exception):
    """The exchange cannot start; the message says what to do. Shown without a traceback."""
