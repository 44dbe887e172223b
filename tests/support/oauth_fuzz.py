"""A run of malformed requests against a server, eight at a time; what came of it."""

import asyncio
import collections
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from exchange.client.session import Session
from tests.support.malformed_oauth import Known, Malformed, malformed

AT_ONCE = 8


@dataclass
class Fuzzed:
    """How often each status was answered, the slowest answer in seconds, and what was wrong."""

    statuses: collections.Counter = field(default_factory=collections.Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def known_to(sme: Session, offering: str, grant: str) -> Known:
    """What a client knows that is good."""
    profile = sme.profile
    token = sme.run(sme.core.token())
    possession = sme.core.possession
    known = Known(profile.url, profile.client_id, dict(profile.key), offering, grant, token.value)
    known.prover, known.nonce = possession._prover or known.prover, possession._nonce or ""
    return known


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
    started = time.perf_counter()
    answer = await http.request(method, each.path, headers=each.headers, content=each.body)
    found.slowest = max(found.slowest, time.perf_counter() - started)
    found.statuses[answer.status_code] += 1
    known.nonce = answer.headers.get("dpop-nonce", known.nonce)
    if answer.status_code >= 500:
        found.wrong.append(f"{answer.status_code} {each.path} {each.headers} {each.body[:2000]!r}")
    elif answer.status_code >= 400:
        document = answer.json()
        if not ({"error", "error_description"} <= document.keys() or "type" in document):
            found.wrong.append(f"{answer.status_code} {each.path}: {answer.text[:300]}")
        if known.token in answer.text or "client_assertion=" in answer.text:
            found.wrong.append(f"{each.path} repeats a secret: {answer.text[:300]}")


def resident_mib(pid: int) -> float:
    """A process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no such process")
