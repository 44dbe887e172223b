"""Watching a conversation for secrets: who was shown what, in headers and bodies, and in logs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx

from exchange.client.session import Session


@dataclass(frozen=True)
class Secret:
    """A string, and those who may be shown it; nobody may log it."""

    what: str
    text: str
    for_roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shown:
    """One answer as it went out, and to whom."""

    role: str
    asked: str
    status: int
    text: str


@dataclass
class Watch:
    """Collects answers, and the tokens and assertions in them, from then on secrets too."""

    shown: list[Shown] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)

    def plant(self, what: str, text: object, *for_roles: str) -> str:
        assert len(str(text)) >= 8, what  # shorter ones stand in other texts by chance
        self.secrets.append(Secret(what, str(text), frozenset(for_roles)))
        return str(text)

    def hook(self, role: str) -> Callable[[httpx.Response], None]:
        def see(response: httpx.Response) -> None:
            self._see(role, response)

        return see

    def follow(self, role: str, session: Session) -> Session:
        """See all that a session is answered."""
        session.http.event_hooks = {"request": [], "response": [self.hook(role)]}
        self.plant(f"{role}'s private key", session.profile.key["d"])
        return session

    def _see(self, role: str, response: httpx.Response) -> None:
        response.read()
        text = "\n".join(f"{k}: {v}" for k, v in response.headers.multi_items())
        text += "\n\n" + response.content.decode("utf-8", "backslashreplace")
        request = response.request
        asked = f"{request.method} {request.url.path}"
        if request.url.path == "/oauth/token":
            form = parse_qs(request.content.decode("latin-1"))
            for assertion in form.get("client_assertion", []):
                if len(assertion) > 100:
                    self.plant("a client assertion", assertion.rpartition(".")[2])
            if response.status_code == 200:
                token = response.json()["access_token"]
                text = text.replace(token, "")  # shown to whom it was made for, here alone
                self.plant("an access token", token.rpartition(".")[2])
        self.shown.append(Shown(role, asked, response.status_code, text))

    def leaks(self) -> list[str]:
        """Every answer with something that this role may not be shown."""
        return [
            f"{secret.what} to {shown.role}: {shown.asked} {shown.status}"
            for secret in self.secrets
            for shown in self.shown
            if secret.text in shown.text and shown.role not in secret.for_roles
        ]

    def logged(self, lines: Iterable[str]) -> list[str]:
        """Every log line with a secret, whoever may be shown it."""
        return [
            f"{secret.what}: {line[:60]}…"
            for line in lines
            for secret in self.secrets
            if secret.text in line
        ]

    def was_shown(self, what: str, role: str) -> bool:
        """Whether one who may see a secret did: else looking for it elsewhere proves little."""
        texts = [secret.text for secret in self.secrets if secret.what == what]
        return any(s.role == role and text in s.text for s in self.shown for text in texts)
