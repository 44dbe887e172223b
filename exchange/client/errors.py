"""What can go wrong for a participant's program, each with words that say what to do.

ClientError
├── Refused               the exchange said no: its code, detail, hint, reasons and remedies
│   └── NotAuthenticated  it does not know this client, or takes its key no longer
├── ServiceRefused        a platform's service answered a call, with a status that is no yes
├── CallCut               a call's answer had begun and broke off: why, and what would help
├── NotReachable          nothing answers at the exchange's address, or the line was cut
├── NotAnExchange         something answers there, but not as an exchange does
├── NotAsPublished        what arrived is not what was published; nothing of it was kept
├── NotProved             a receipt does not prove what it should
├── Undecided             nobody decided in the time that one was willing to wait
├── NotASandbox           nobody promised that it may be tried at once
├── MissingExtra          reading needs a package that is not installed
└── ProfileProblem        the profile or its key cannot be used
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from exchange.client.documents import Said


SHOWN = 300
"""Characters of what a service said that stand in an error's text."""


class ClientError(Exception):
    """Base of all errors of a client."""


class ProfileProblem(ClientError):
    """The profile cannot be used; the message says what to do."""


class NotAnExchange(ClientError):
    """Something answers at the profile's URL, but not as an exchange does."""


class NotAsPublished(ClientError):
    """What arrived is not what was published."""


class NotProved(ClientError):
    """A receipt that does not prove what it should."""


class Undecided(ClientError, TimeoutError):
    """Nobody decided in time; the request stands and can be waited for again."""


class NotASandbox(ClientError):
    """An offering that is asked for like others; nothing was asked."""


class MissingExtra(ClientError, ImportError):
    """A package of an extra is needed."""


class NotReachable(ClientError):
    """The exchange does not answer, or the line was cut."""

    @classmethod
    def because(cls, error: httpx.HTTPError | httpx.InvalidURL) -> "NotReachable":
        """Say which exchange, without what else stood in the URL."""
        try:
            url = error.request.url if isinstance(error, httpx.RequestError) else None
        except RuntimeError:  # it failed before there was a request
            url = None
        whose = "The profile's url cannot be asked" if url is None else None
        said = whose or f"{url.scheme}://{url.netloc.decode('ascii')} does not answer"  # type: ignore[union-attr]
        return cls(f"{said} ({type(error).__name__}).")


class Refused(ClientError):
    """The exchange said no; `document` is its problem (RFC 9457) or OAuth error."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(status, document)
        self.status = status
        self.document = dict(document)

    @property
    def code(self) -> str:
        """What a program compares, such as `access_denied`."""
        named = self.document.get("type") or self.document.get("error") or self.status
        return str(named).rsplit(":", 1)[-1]

    @property
    def detail(self) -> str:
        """What was said, in the language that was asked for where it is a reason."""
        told = self.document.get("detail") or self.document.get("error_description")
        return str(told or "no detail")

    @property
    def hint(self) -> str:
        """What would help; empty where nothing was said."""
        return str(self.document.get("hint") or "")

    @property
    def request(self) -> dict[str, Any]:
        """The access request that was refused by policy; empty for other refusals."""
        found = self.document.get("access_request")
        return dict(found) if isinstance(found, dict) else {}

    @property
    def reasons(self) -> Sequence["Said"]:
        """Why: of the policy, or of whoever suspended or revoked the grant."""
        given = (self.request or self.document).get("reasons")
        return _each_said(given) or [*_stopped(self.document.get("grant"))]

    @property
    def remedies(self) -> Sequence["Said"]:
        """What would make it a yes."""
        return _each_said((self.request or self.document).get("remedies"))

    def __str__(self) -> str:
        stopped = [each.text for each in _stopped(self.document.get("grant"))]
        told = [each.text for each in self.remedies if each.text != each.code]
        remedies = told or ([self.hint] if self.hint else [])
        lines = [*(f"✗ {each}" for each in stopped), *(f"→ {each}" for each in remedies)]
        return "\n".join([f"{self.detail} ({self.code})", *lines])


class ServiceRefused(ClientError):
    """A platform's service said no, not the exchange; `content` is what it said."""

    def __init__(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__(status, content)
        self.status, self.headers, self.content = status, headers, content

    @property
    def text(self) -> str:
        """What it said as text, in the charset that it names, or UTF-8."""
        kind = {"Content-Type": self.headers.get("content-type", "")}
        return httpx.Response(self.status, headers=kind, content=self.content).text

    def json(self) -> Any:
        """Return what it said as JSON; raises ValueError."""
        return json.loads(self.content)

    def __str__(self) -> str:
        said = self.text.strip()
        shown = said if len(said) <= SHOWN else f"{said[:SHOWN]}…"
        return f"The platform's service answered {self.status}: {shown or 'nothing more'}"


class CallCut(ClientError):
    """A call's answer broke off after `received` bytes; it may have been counted.

    `code` is what a program compares: grant_revoked, grant_suspended, grant_ended,
    bytes_exhausted, answer_too_large, or call_cut where nobody can say. `grant` is the grant as it
    is then, where it stands no more.
    """

    def __init__(
        self, code: str, detail: str, hint: str, received: int, grant: object = None
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.hint, self.received = code, detail, hint, received
        self.grant = grant

    @property
    def reasons(self) -> Sequence["Said"]:
        """Why the grant was suspended or revoked, in the words of whoever did it."""
        return [*_stopped(self.grant)]

    def __str__(self) -> str:
        lines = [*(f"✗ {each.text}" for each in self.reasons), f"→ {self.hint}"]
        return "\n".join([f"{self.detail} ({self.code})", *lines])


class NotAuthenticated(Refused):
    """The exchange does not know this client, or no longer."""


def refused(status: int, document: Mapping[str, Any]) -> Refused:
    """Return the error that an answer stands for."""
    is_unknown = status == httpx.codes.UNAUTHORIZED or document.get("error") == "invalid_client"
    return (NotAuthenticated if is_unknown else Refused)(status, document)


def _each_said(said: object) -> list["Said"]:
    from exchange.client.documents import Said  # which raise errors of this file

    items = said if isinstance(said, list) else []
    told = (each for each in items if isinstance(each, dict) and "code" in each)
    return [Said.of({"text": each["code"], "params": {}, **each}) for each in told]


def _stopped(grant: object) -> Iterator["Said"]:
    """Yield why a grant was revoked, or is suspended, as it says itself."""
    if not isinstance(grant, dict):
        return
    for why in (grant.get("revocation"), *(grant.get("holds") or ())):
        if isinstance(why, dict):
            words = " ".join(filter(None, (why.get("reason_text"), why.get("text"))))
            yield from _each_said([{"code": why.get("reason") or "suspended", "text": words}])
