"""Requests as one client of one exchange: tokens when needed, refusals as errors, page by page."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import httpx

from exchange.client.errors import (
    NotAnExchange,
    NotReachable,
    ProfileProblem,
    Refused,
    ServiceRefused,
    refused,
)
from exchange.client.flow import Body, Flow, Pause, Send, Sink
from exchange.client.possession import Possession, Token
from exchange.client.profile import Profile
from exchange.formats.errors import FormatError
from exchange.formats.tokens import make_client_assertion

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN_PATH = "/oauth/token"  # noqa: S105
EARLY_SECONDS = 20
ATTEMPTS = 4
NOT_NOW = (429, 502, 503, 504)
LONGEST_PAUSE = 30.0


class Core:
    """What every verb is made of. Holds the tokens of one client, in memory only."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.possession = Possession()
        self._tokens: dict[tuple[str, bool], tuple[Token, float]] = {}

    def token(self, scope: str = "", *, bound: bool = True) -> Flow[Token]:
        """Return an access token; `grant:ID` as scope gives one for that grant's deliveries.

        It is bound to this conversation's key, or good for whoever holds it: raises Refused where
        the client gets none such.
        """
        known = self._tokens.get((scope, bound))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        answer = yield from self.ask_for_token({"scope": scope} if scope else {}, bound=bound)
        try:
            token = Token(str(answer["access_token"]), str(answer["token_type"]).lower())
            seconds = float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotAnExchange(f"{self.profile.url} gives no token, and no reason.") from error
        self._tokens[(scope, bound)] = (token, time.monotonic() + seconds - EARLY_SECONDS)
        return token

    def ask_for_token(self, form: Mapping[str, str], *, bound: bool = True) -> Flow[Any]:
        """Send one token request, with what it asks for; raises Refused."""
        for again in (True, False):
            sent = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION,
                "client_assertion": self.assertion(),
                **form,
            }
            headers = {}
            if bound:
                headers["DPoP"] = self.possession.proof("POST", self.issuer() + TOKEN_PATH)
            response = yield Send("POST", TOKEN_PATH, headers, {"data": sent})
            if not (self.possession.learns(response) and again):
                break
        return as_json(checked(response))

    def assertion(self) -> str:
        """Return a fresh client assertion (RFC 7523 section 3), good once and for a minute."""
        profile = self.profile
        if not profile.client_id:
            raise ProfileProblem(
                "No exchange knows this profile yet. Give its public key (`exchange profile key`) "
                "to the operator, then write down what you get: `exchange profile set --help`."
            )
        try:
            return make_client_assertion(profile.key, profile.client_id, self.issuer(), time.time())
        except FormatError as error:
            raise ProfileProblem(f"The profile's key cannot sign: {error}.") from error

    def issuer(self) -> str:
        """Return the issuer: the URL that the profile names, never what a server claims."""
        return self.profile.url.rstrip("/")

    def ask(
        self,
        method: str,
        path: str,
        *,
        scope: str | None = "",
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        sink: Sink | None = None,
        **options: Any,
    ) -> Flow[httpx.Response]:
        """Send one request with a token, or without where `scope` is None; raises Refused."""
        mends = {"nonce", "token"} if (scope, True) in self._tokens else {"nonce"}
        while True:
            sent = dict(headers or {})
            if scope is not None:
                token = yield from self.token(scope)
                sent |= self.shows(token, method, path)
            response = yield Send(method, path, sent, options, body, sink)
            lacks = "nonce" if self.possession.learns(response) else "token"
            if is_of_service(response):
                break  # whatever it says: a call that arrived is not repeated
            if scope is None or response.status_code != httpx.codes.UNAUTHORIZED:
                break
            if lacks not in mends:
                break
            mends.remove(lacks)
            if lacks == "token":
                # It ended early: the exchange has other keys now.
                self._tokens.pop((scope, True), None)
        if response.status_code == httpx.codes.TEMPORARY_REDIRECT and sink is not None:
            # To the store of a platform that chose so. It gets no token of ours, and the ETag in
            # our conditions is not its own; what comes is held against its checksum anyway.
            sent = {k: v for k, v in (headers or {}).items() if k in ("Range", "Accept-Encoding")}
            response = yield Send("GET", _elsewhere(response), sent, sink=sink)
        return checked(response)

    def shows(self, token: Token, method: str, path: str) -> dict[str, str]:
        """Return the headers that show a token at a path, or at a URL of the gateway."""
        url = httpx.URL(path)
        if url.is_relative_url:
            url = httpx.URL(f"{self.issuer()}/{path.lstrip('/')}")
        return self.possession.shows(token, method, str(url.copy_with(query=None, fragment=None)))

    def get(self, path: str, *, scope: str | None = "", **params: Any) -> Flow[Any]:
        """Return the JSON at a path; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return as_json((yield from self.ask("GET", path, scope=scope, params=given)))

    def text(self, path: str) -> Flow[str]:
        """Return the text at a path that needs no token."""
        return (yield from self.ask("GET", path, scope=None)).text

    def post(self, path: str, document: Mapping[str, Any] | None = None) -> Flow[Any]:
        """Post JSON and return the answer, with one effect however often the line is cut."""
        headers = {"Idempotency-Key": secrets.token_urlsafe(18)}
        options: dict[str, Any] = {} if document is None else {"json": document}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = yield from self.ask("POST", path, headers=headers, **options)
                return as_json(answer)
            except (NotReachable, Refused) as error:
                if attempt == ATTEMPTS or not is_passing(error):
                    raise
                yield Pause(pause_after(attempt))
        raise AssertionError("the last attempt returns or raises")

    def page(self, path: str, params: dict[str, Any]) -> Flow[list[Any]]:
        """Return the next items of a list, and put where to go on into `params`.

        After the last page `params["cursor"]` is None.
        """
        page = yield from self.get(path, **params)
        try:
            items, params["cursor"] = list(page["items"]), page.get("next")
        except (KeyError, TypeError, AttributeError) as error:
            raise NotAnExchange(f"{path} answers with no list.") from error
        return items


def _elsewhere(response: httpx.Response) -> str:
    """Return where an answer points: one step, never from https to what can be listened to."""
    here = response.url
    try:
        there = here.join(response.headers.get("location", ""))
    except httpx.InvalidURL as error:
        raise NotAnExchange("The exchange points to what is no URL.") from error
    if there.scheme not in ("https", here.scheme) or there.userinfo:
        raise NotAnExchange("The exchange points to where nothing is fetched from.")
    return str(there)


def is_passing(error: Exception) -> bool:
    """Whether the same request may be answered in a moment."""
    return isinstance(error, NotReachable) or (
        isinstance(error, Refused) and error.status in NOT_NOW
    )


def pause_after(attempt: int) -> float:
    """Seconds to wait after so many attempts: twice as long each time, and never all at once."""
    longest = min(LONGEST_PAUSE, 0.2 * 2.0**attempt)
    return longest * (0.5 + secrets.randbelow(1000) / 2000)


def as_json(response: httpx.Response) -> Any:
    """Return an answer's JSON; raises NotAnExchange."""
    try:
        return response.json()
    except ValueError as error:
        raise NotAnExchange(
            f"{response.url.copy_with(path='/', query=None)} answers, but not as an exchange does."
        ) from error


def is_of_service(response: httpx.Response) -> bool:
    """Whether a platform's service said it: the gateway marks that, and a service cannot."""
    return "exchange-use" in response.headers


def checked(response: httpx.Response) -> httpx.Response:
    """Return an answer that is a yes; raises Refused, or ServiceRefused."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    if is_of_service(response):
        raise ServiceRefused(response.status_code, response.headers, response.content)
    try:
        document = response.json()
    except ValueError:
        document = {"detail": f"HTTP {response.status_code}, without a reason"}
    raise refused(response.status_code, document if isinstance(document, dict) else {})
