"""HTTP to one exchange as one client: tokens are asked for when needed and kept in memory."""

import time
from typing import Any

import httpx

from exchange.cli.profile import Profile
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


class Session:
    """One client's conversation with one exchange."""

    def __init__(self, profile: Profile, lang: str = "en") -> None:
        self.profile = profile
        self.http = httpx.Client(
            base_url=profile.url, timeout=30, headers={"Accept-Language": lang}
        )
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
        answer = _checked(self.http.post("/oauth/token", data=form)).json()
        until = time.monotonic() + answer["expires_in"] - EARLY_SECONDS
        self._tokens[scope] = (answer["access_token"], until)
        return str(answer["access_token"])

    def assertion(self) -> str:
        """Return a fresh client assertion (RFC 7523 section 3), good once and for a minute."""
        profile = self.profile
        return make_client_assertion(profile.key, profile.client_id, self.issuer(), time.time())

    def issuer(self) -> str:
        """Return the issuer: the URL that the profile names, never what a server claims."""
        return self.profile.url.rstrip("/")

    def request(self, method: str, path: str, *, scope: str = "", **options: Any) -> httpx.Response:
        """Send one request with a token; raises Refusal."""
        headers = {**options.pop("headers", {}), "Authorization": f"Bearer {self.token(scope)}"}
        return _checked(self.http.request(method, path, headers=headers, **options))

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON at a path."""
        return self.request("GET", path, params=params).json()

    def post(self, path: str, document: Any = None) -> Any:
        """Post JSON and return the answer."""
        options = {} if document is None else {"json": document}
        return self.request("POST", path, **options).json()

    def put(self, path: str, document: Any) -> Any:
        """Put JSON and return the answer."""
        return self.request("PUT", path, json=document).json()

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


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    response.read()
    try:
        document = response.json()
    except ValueError:
        document = {"detail": f"HTTP {response.status_code}"}
    raise Refusal(response.status_code, document if isinstance(document, dict) else {})
