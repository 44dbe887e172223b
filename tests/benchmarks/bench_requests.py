"""Token requests and access requests a second over HTTP, at 1, 16 and 64 clients.

An access request is the whole of it: authenticated request, decision, grant, leaf, receipt. The
server has one worker and one core, the load generator the other.

    python -m tests.benchmarks.bench_requests [--seconds 3] [--rounds 3]
"""

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

from exchange.client.core import ASSERTION
from exchange.client.session import Session
from exchange.formats.tokens import make_client_assertion
from tests.benchmarks.load import Figures, drive, http_request, median
from tests.support.actors import SME_ATTRIBUTES, join, operator, publish
from tests.support.server import ROOT, ExchangeServer

PURPOSES = json.loads((ROOT / "policies" / "data" / "purposes.json").read_text())["purposes"]
CLIENTS = (1, 16, 64)
OFFERINGS = 400  # times 14 purposes: questions that each client can ask


class Bench:
    """One exchange with a platform, many offerings, and 64 SME clients."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        by = operator(server.state)
        platform = join(by, "Platform", ["platform"])
        self.offerings = [publish(platform, purposes=PURPOSES)["id"] for _ in range(OFFERINGS)]
        self.smes = [join(by, f"SME {n}", ["sme"], SME_ATTRIBUTES) for n in range(max(CLIENTS))]
        self.asks = [self._asks(sme) for sme in self.smes]

    def _asks(self, sme: Session) -> Iterator[bytes]:
        """Yield requests that nobody has asked before."""
        token, until = "", 0.0
        for purpose, offering in product(PURPOSES, self.offerings):
            if time.monotonic() > until:
                sme.core._tokens.clear()
                token, until = sme.token(), time.monotonic() + 200
            body = {"offering_id": offering, "purpose": purpose, "actions": ["read"], "days": 30}
            yield http_request(
                "POST", "/v1/access-requests", json.dumps(body).encode(), "application/json", token
            )
        raise RuntimeError("out of new questions: raise OFFERINGS")

    def tokens(self, sme: Session, count: int) -> Iterator[bytes]:
        profile = sme.profile
        made = []
        for _ in range(count):
            proof = make_client_assertion(
                profile.key, profile.client_id, self.server.url, time.time(), lifetime=60
            )
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION,
                "client_assertion": proof,
            }
            body = urlencode(form).encode()
            made.append(
                http_request("POST", "/oauth/token", body, "application/x-www-form-urlencoded")
            )
        return iter(made)


def run(name: str, seconds: float, rounds: int, **settings: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = ExchangeServer(Path(folder) / "state", log_level="warning", **settings)
        with server, one_core(server):
            bench = Bench(server)
            for clients in CLIENTS:
                some = bench.smes[:clients]
                runs = []
                for _ in range(rounds):
                    each = int(4000 * seconds / clients)
                    prepared = [bench.tokens(sme, each) for sme in some]
                    runs.append(asyncio.run(drive(server.port, prepared, seconds, {200})))
                say(name, "token requests", clients, runs)
            for clients in CLIENTS:
                runs = [
                    asyncio.run(drive(server.port, bench.asks[:clients], seconds, {201}))
                    for _ in range(rounds)
                ]
                say(name, "access requests", clients, runs)


def say(name: str, what: str, clients: int, runs: list[Figures]) -> None:
    print(f"{name:<11} {what:<16} {clients:>3} clients {median(runs)}", flush=True)


@contextlib.contextmanager
def one_core(server: ExchangeServer) -> Iterator[None]:
    """Give the server the first core and this process the second."""
    mine = os.sched_getaffinity(0)
    if len(mine) > 1 and server.process is not None:
        first, second, *_ = sorted(mine)
        for thread in Path(f"/proc/{server.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {first})
        os.sched_setaffinity(0, {second})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
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
