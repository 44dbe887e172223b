"""Token requests a second beside oidc-provider's, each server on one core, taking turns in one run.

granted    private_key_jwt + DPoP + authorization_details + policy + audited grant + receipt
standing   the same for a grant that stands: the policy is asked again, no leaf
theirs     oidc-provider (npm), unmodified: private_key_jwt + DPoP, everything in its memory
signed     the same, its tokens signed JWTs as ours are

python -m tests.benchmarks.bench_tokens [--seconds 4] [--rounds 5] [--only sqlite]
python -m tests.benchmarks.bench_tokens --profile granted|standing
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

import httpx

from exchange.client.core import ASSERTION
from exchange.client.session import Session
from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key, make_client_assertion
from infra.foreign import FOLDER, ForeignClients, fill_node
from tests.benchmarks.bench_requests import PURPOSES
from tests.benchmarks.load import Figures, drive, http_request
from tests.benchmarks.profiled import Profiled
from tests.support.actors import SME_ATTRIBUTES, join, operator, publish
from tests.support.server import ExchangeServer, free_port

CLIENTS = 16
OFFERINGS = 150  # times 14 purposes and 16 clients: grants that nobody has yet
FORM = "application/x-www-form-urlencoded"
HERE = Path(__file__).parent / "oidc_provider"
PROVIDER = ForeignClients(
    "oidc-provider",
    HERE / "package-lock.json",
    FOLDER / "oidc_provider",
    10,
    "a server in JavaScript",
    fill_node,
)


class Asker:
    """One client at one server: prebuilt requests, each good once."""

    def __init__(self, issuer: str, token_path: str, client_id: str, key: dict) -> None:
        self.issuer, self.path, self.client_id, self.key = issuer, token_path, client_id, key
        self.prover, self.nonce = Prover(generate_client_key()), ""

    def request(self, **asked: str) -> bytes:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": make_client_assertion(
                self.key, self.client_id, self.issuer, time.time(), lifetime=60
            ),
            **asked,
        }
        proof = self.prover.proof(
            "POST", self.issuer + self.path, time.time(), nonce=self.nonce or None
        )
        body = urlencode(form).encode()
        # Theirs makes the URL that a proof must name of the header Host.
        host = self.issuer.removeprefix("http://")
        return http_request("POST", self.path, body, FORM, headers={"DPoP": proof}, host=host)

    def learn(self) -> None:
        """Fetch the nonce that the server wants now."""
        self.nonce = ""  # an answer to a good one brings none
        raw = self.request()
        head, _, body = raw.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        headers.pop("Host")
        answer = httpx.post(self.issuer + self.path, content=body, headers=headers)
        self.nonce = answer.headers["dpop-nonce"]


class Exchange:
    """Our side: many offerings, and SMEs whose grants are made by the bench."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        by = operator(server.state)
        platform = join(by, "Platform", ["platform"])
        offerings = [publish(platform, purposes=PURPOSES)["id"] for _ in range(OFFERINGS)]
        smes = [join(by, f"SME {n}", ["sme"], SME_ATTRIBUTES) for n in range(CLIENTS)]
        self.askers = [self._asker(sme) for sme in smes]
        self.new = [product(PURPOSES, offerings) for _ in smes]
        self.first = offerings[0]

    def _asker(self, sme: Session) -> Asker:
        profile = sme.profile
        return Asker(self.server.url, "/oauth/token", profile.client_id, dict(profile.key))

    def prepared(self, count: int, *, standing: bool) -> list[Iterator[bytes]]:
        self.askers[0].learn()
        made = []
        for asker, new in zip(self.askers, self.new, strict=True):
            asker.nonce = self.askers[0].nonce
            asked = []
            for _ in range(count):
                purpose, offering = (PURPOSES[0], self.first) if standing else next(new)
                detail = {"type": "dataset", "offering": offering, "purpose": purpose}
                asked.append(asker.request(authorization_details=json.dumps([detail])))
            made.append(iter(asked))
        return made


class Provider:
    """Their side."""

    def __init__(self) -> None:
        keys = [generate_client_key() for _ in range(CLIENTS)]
        self.port = free_port()
        url = f"http://127.0.0.1:{self.port}"
        self.askers = [Asker(url, "/token", f"client{n}", key) for n, key in enumerate(keys)]
        clients = [
            {"client_id": asker.client_id, "jwks": {"keys": [_public(asker.key)]}}
            for asker in self.askers
        ]
        setting = {"port": self.port, "clients": clients, "key": generate_client_key()}
        self.process = subprocess.Popen(
            ["node", str(HERE / "server.mjs"), json.dumps(setting)],
            env={**os.environ, "MODULES": str(PROVIDER.folder), "NODE_ENV": "production"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        while "listening" not in self.process.stdout.readline():
            if self.process.poll() is not None:
                raise RuntimeError("oidc-provider does not start")

    def prepared(self, count: int, *, signed: bool) -> list[Iterator[bytes]]:
        self.askers[0].learn()
        asked = {"scope": "catalog"} | ({"resource": "https://a.example"} if signed else {})
        made = []
        for asker in self.askers:
            asker.nonce = self.askers[0].nonce
            made.append(iter([asker.request(**asked) for _ in range(count)]))
        return made

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def _public(key: dict) -> dict:
    return {name: key[name] for name in ("kty", "crv", "x", "y", "kid", "alg", "use")}


def pin(pid: int, core: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(thread.name), {core})


def run(name: str, seconds: float, rounds: int, **settings: str) -> None:
    plenty = {"oauth_per_minute": "1000000", "log_level": "warning"}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        server = ExchangeServer(Path(folder) / "state", **plenty, **settings)
        stack.enter_context(server)
        theirs = Provider()
        stack.callback(theirs.close)
        ours = Exchange(server)
        first, second, *_ = sorted(os.sched_getaffinity(0))
        assert server.process is not None
        pin(server.process.pid, first)
        pin(theirs.process.pid, first)
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {second})
        found: dict[str, list[Figures]] = {
            name: [] for name in ("granted", "standing", "theirs", "signed")
        }
        most = int(900 * seconds / CLIENTS)
        asyncio.run(drive(server.port, ours.prepared(2, standing=True), 60, {200}))
        for _ in range(rounds):
            for what, figures in found.items():
                if what in ("theirs", "signed"):
                    port, asked = theirs.port, theirs.prepared(3 * most, signed=what == "signed")
                else:
                    port = server.port
                    asked = ours.prepared(most, standing=what == "standing")
                figures.append(asyncio.run(drive(port, asked, seconds, {200})))
        for what, figures in found.items():
            ratios = [
                o.per_second / t.per_second for o, t in zip(figures, found["theirs"], strict=True)
            ]
            rate, p50 = (median(getattr(f, n) for f in figures) for n in ("per_second", "p50_ms"))
            print(
                f"{name:<11} {what:<9} {rate:7.0f}/s  p50 {p50:6.1f} ms  "
                f"{median(ratios):5.2f} of theirs",
                flush=True,
            )


def profile(what: str, seconds: float) -> None:
    """Print where our processor's time goes on SQLite."""
    settings = {"oauth_per_minute": "1000000", "log_level": "warning"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Profiled(Path(folder) / "state", **settings) as server,
    ):
        ours = Exchange(server)
        asyncio.run(drive(server.port, ours.prepared(5, standing=True), 60, {200}))
        asked = ours.prepared(int(900 * seconds / CLIENTS), standing=what == "standing")
        with server.watched():
            print("profiled", what, asyncio.run(drive(server.port, asked, seconds, {200})))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", choices=["granted", "standing"])
    options = parser.parse_args()
    if options.profile is not None:
        profile(options.profile, options.seconds)
        return
    if not PROVIDER.is_installed():
        from infra.setup import run as run_command

        if (advice := PROVIDER.install(run_command)) is not None:
            sys.exit(f"oidc-provider cannot be had: {advice}")
    if options.only != "postgresql":
        run("sqlite", options.seconds, options.rounds)
    if options.only != "sqlite":
        from infra.postgres import Postgres, PostgresUnavailable

        try:
            with Postgres() as postgres:
                url = postgres.create_database("bench")
                run("postgresql", options.seconds, options.rounds, database_url=url)
        except PostgresUnavailable as reason:
            print(f"postgresql  skipped: {reason}")


if __name__ == "__main__":
    main()
