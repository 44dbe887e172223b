"""A run of malformed requests against a server, eight at a time; what came of it."""

import asyncio
import collections
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from exchange.client.profile import jwks_of, new_profile
from exchange.client.session import Session
from exchange.participants.model import scopes_of
from tests.support.actors import BEARER, SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.malformed_oauth import WAYS, Known, Malformed, malformed
from tests.support.server import ExchangeServer

AT_ONCE = 8
INVITATIONS = 40  # open ones, for one run: an organisation has 50 at most, and 100 clients
PLENTY = {"oauth_per_minute": "1000000", "oauth_failures_per_minute": "1000000"}
WAYS_IN = {
    *("me", "register"),
    *(f"{path} by {way}" for path in ("token", "revoke", "introspect", "par") for way in WAYS),
}


@dataclass
class Fuzzed:
    """How often each way in was answered with which status, and what was wrong.

    `slowest` is the longest that an answer took, in seconds, and which it was.
    """

    answers: collections.Counter[tuple[str, int]] = field(default_factory=collections.Counter)
    slowest: tuple[float, str] = (0.0, "none")
    wrong: list[str] = field(default_factory=list)

    def total(self) -> int:
        """How many answers there were."""
        return self.answers.total()

    def of(self, what: str, *statuses: int) -> int:
        """How many answers of these statuses a way in had."""
        return sum(self.answers[what, status] for status in statuses)

    def add(self, other: "Fuzzed") -> None:
        """Take in what another run found."""
        self.answers.update(other.answers)
        self.slowest = max(self.slowest, other.slowest)
        self.wrong += other.wrong

    def table(self) -> str:
        """A line a way in: how often which status."""
        by_what: dict[str, dict[int, int]] = collections.defaultdict(dict)
        for (what, status), times in sorted(self.answers.items()):
            by_what[what][status] = times
        return "\n".join(
            f"  {what:<31}" + ", ".join(f"{status}: {n:,}" for status, n in found.items())
            for what, found in by_what.items()
        )


class World:
    """An exchange with an offering; each run gets an organisation of its own to know of."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server, self.by = server, operator(server.state)
        self.offering = publish(join(self.by, "Harbour", ["platform"]))

    def known(self) -> Known:
        """Return a client of each kind, tokens, a grant and invitations: all of it good."""
        sme = join(self.by, "Small", ["sme"], SME_ATTRIBUTES)
        clients = f"/v1/organisations/{sme.profile.organisation_id}/clients"

        def client(method: str, **more: Any) -> dict[str, Any]:
            how = {"name": method, "token_endpoint_auth_method": method}
            made = self.by.post(clients, how | more | BEARER)
            assert isinstance(made, dict)
            return made

        bearer = new_profile(sme.profile.url)
        bearer_id = client("jwt_bearer", jwks=jwks_of(bearer))["id"]
        basic, post = client("client_secret_basic"), client("client_secret_post")
        possession = sme.core.possession
        known = Known(
            issuer=sme.profile.url,
            client_id=sme.profile.client_id,
            key=dict(sme.profile.key),
            bearer_id=bearer_id,
            bearer_key=dict(bearer.key),
            basic=(basic["id"], basic["client_secret"]),
            post=(post["id"], post["client_secret"]),
            offering=self.offering["id"],
            grant=ask(sme, self.offering)["grant"]["id"],
            token=sme.run(sme.core.token()).value,
            given_up=sme.run(sme.core.token("catalog")).value,
            invitations=list(self._invitations(sme)),
            scopes=" ".join(sorted(scopes_of(frozenset({"sme"})))),
            nonce=possession._nonce or "",
        )
        known.prover = possession._prover or known.prover
        return known

    def _invitations(self, sme: Session) -> Iterable[str]:
        path = f"/v1/organisations/{sme.profile.organisation_id}/client-invitations"
        for _ in range(INVITATIONS):
            made = self.by.post(path, {"approved": True, "secrets": True})
            yield made["initial_access_token"]


async def fuzz(known: Known, seed: int, count: int) -> Fuzzed:
    """Send so many; the nonce is renewed as answers bring one."""
    found, requests = Fuzzed(), malformed(known, seed, count)
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(base_url=known.issuer, timeout=60, limits=limits) as http:

        async def send() -> None:
            for each in requests:
                await _one(http, each, known, found)

        await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    return found


async def _one(http: httpx.AsyncClient, each: Malformed, known: Known, found: Fuzzed) -> None:
    method = "GET" if each.path == "/v1/me" else "POST"
    secrets = known.secrets()
    started = time.perf_counter()
    answer = await http.request(method, each.path, headers=each.headers, content=each.body)
    found.slowest = max(found.slowest, (time.perf_counter() - started, each.what))
    found.answers[each.what, answer.status_code] += 1
    known.nonce = answer.headers.get("dpop-nonce", known.nonce)
    if each.what == "register" and answer.status_code == 201 and len(known.invitations) > 1:
        known.invitations.pop()
    if answer.status_code >= 500:
        found.wrong.append(f"{answer.status_code} {each.path} {each.headers} {each.body[:2000]!r}")
    elif answer.status_code >= 400:
        document = answer.json()
        if not ({"error", "error_description"} <= document.keys() or "type" in document):
            found.wrong.append(f"{answer.status_code} {each.path}: {answer.text[:300]}")
        if "client_assertion=" in answer.text or any(secret in answer.text for secret in secrets):
            found.wrong.append(f"{each.path} repeats a secret: {answer.text[:300]}")


def resident_mib(pid: int) -> float:
    """A process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no such process")
