"""HTTP to one exchange as one client: tokens are asked for when needed and kept in memory."""

import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from exchange.client.profile import Profile, ProfileProblem
from exchange.formats.errors import FormatError
from exchange.formats.tokens import make_client_assertion

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EARLY_SECONDS = 20


class Refusal(Exception):
    """The exchange said no; `document` is its problem (RFC 9457) or OAuth error."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        detail = document.get("detail") or document.get("error_description") or "no detail"
        super().__init__(f"{detail} ({document.get('type', document.get('error', status))})")
        self.status = status
        self.document = document


class NotAnExchange(Exception):
    """Something answers at the profile's URL, but not as an exchange does."""


class Session:
    """One client's conversation with one exchange."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.profile = profile
        self.http = open_http(profile.url, headers={"Accept-Language": lang})
        self._tokens: dict[str, tuple[str, float]] = {}

    def token(self, scope: str = "") -> str:
        """Return an access token; `grant:ID` as scope gives one for that grant's deliveries."""
        known = self._tokens.get(scope)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(),
        }
        if scope:
            form["scope"] = scope
        answer = _json(_checked(self.http.post("/oauth/token", data=form)))
        try:
            token, seconds = str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotAnExchange(f"{self.profile.url} gives no token, and no reason.") from error
        self._tokens[scope] = (token, time.monotonic() + seconds - EARLY_SECONDS)
        return token

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

    def request(self, method: str, path: str, *, scope: str = "", **options: Any) -> httpx.Response:
        """Send one request with a token; raises Refusal."""
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {self.token(scope)}"}
        return _checked(self.http.request(method, path, headers=headers, **options))

    @contextmanager
    def stream(self, url: str, *, scope: str) -> Iterator[httpx.Response]:
        """Open an answer to be read piece by piece, as it was sent; raises Refusal."""
        headers = {"Authorization": f"Bearer {self.token(scope)}", "Accept-Encoding": "identity"}
        with self.http.stream("GET", url, headers=headers) as response:
            yield _checked(response)

    def text(self, path: str) -> str:
        """Return the text at a path that needs no token."""
        return _checked(self.http.get(path)).text

    def get(self, path: str, *, scope: str = "", **params: Any) -> Any:
        """Return the JSON at a path."""
        return _json(self.request("GET", path, scope=scope, params=params))

    def post(self, path: str, document: Any = None) -> Any:
        """Post JSON and return the answer."""
        options = {} if document is None else {"json": document}
        return _json(self.request("POST", path, **options))

    def post_openly(self, path: str, document: Any) -> Any:
        """Post JSON to a route that asks for no token and return the answer; raises Refusal."""
        return _json(_checked(self.http.post(path, json=document)))

    def put(self, path: str, document: Any) -> Any:
        """Put JSON and return the answer."""
        return _json(self.request("PUT", path, json=document))

    def pages(self, path: str, **params: Any) -> Any:
        """Yield every item of a list, page after page."""
        while True:
            page = self.get(path, **params)
            yield from page["items"]
            if page.get("next") is None:
                return
            params["cursor"] = page["next"]

    def close(self) -> None:
        """Close the connection."""
        self.http.close()


def open_http(url: str, **options: Any) -> httpx.Client:
    """Return a client; for an exchange on this machine no proxy of the environment is asked."""
    options.setdefault("timeout", 30)
    return httpx.Client(base_url=url, trust_env=not _is_local(url), **options)


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise NotAnExchange(
            f"{response.url.copy_with(path='/', query=None)} answers, but not as an exchange does."
        ) from error


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    response.read()
    try:
        document = response.json()
    except ValueError:
        document = {"detail": f"HTTP {response.status_code}, without a reason"}
    raise Refusal(response.status_code, document if isinstance(document, dict) else {})
