"""Grants a second of the ledger alone: a grant's rows and its leaf, committed and kept.

No HTTP, no policy: 1, 16 and 64 tasks, each waiting for its own receipt before the next write.

    python -m tests.benchmarks.bench_ledger [--seconds 3] [--rounds 3]
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import uvloop
from sqlalchemy import Table, insert

from exchange.access.tables import GrantRow, RequestRow
from exchange.clock import DAY_MS, now_ms
from exchange.db import Database
from exchange.ids import new_id
from exchange.ledger.keep import Keeper
from exchange.ledger.ledger import Ledger
from exchange.ledger.start import load_signer
from exchange.ledger.write import Insert, LeafIndex, Once, Vacant, Write
from exchange.migrate import migrate
from exchange.participants.tables import OrganisationRow
from infra.postgres import Postgres, PostgresUnavailable
from tests.benchmarks.load import Figures, figures, median

TASKS = (1, 16, 64)
GRANTS: Table = GrantRow.__table__
REQUESTS: Table = RequestRow.__table__
ORGANISATIONS: Table = OrganisationRow.__table__


def organisations(db: Database) -> tuple[str, str]:
    made = {"name_en": "x", "name_zh": "x", "roles": [], "status": "active", "attributes": {}}
    ids = new_id("org"), new_id("org")
    with db.writing() as connection:
        rows = [{"id": each, **made, "rev": 1, "created_ms": now_ms()} for each in ids]
        connection.execute(insert(ORGANISATIONS), rows)
    return ids


def grant(ledger: Ledger, consumer: str, provider: str) -> Write:
    """Return a write of the shape that the critical path makes for a permit."""
    log_id, now = ledger.log_id, now_ms()
    grant_id, request_id = new_id("grt", log_id), new_id("req", log_id)
    both = {"consumer_id": consumer, "provider_id": provider}
    asked = {
        "client_id": "cli_x",
        "offering_id": "off_x",
        "offering_version": 1,
        "purpose": "logistics_planning",
        "actions": ["read"],
    }
    event = ledger.event("grant.activated.v1", grant_id, {"grant_id": grant_id, **both, **asked})
    request = {"status": "permitted", "days": 30, "rev": 1, "created_ms": now}
    row = {
        "log_id": log_id,
        "id": grant_id,
        "request_id": request_id,
        "decision_id": "dec_x",
        **both,
        **asked,
        "obligations": {"days": 30},
        "ask": grant_id,
        "status": "active",
        "leaf_index": LeafIndex(),
        "status_index": Vacant(("log_id", "provider_id")),
        "starts_ms": now,
        "ends_ms": now + 30 * DAY_MS,
        "event_id": event.id,
        "rev": 1,
    }
    return Write(
        [event],
        reads={(ORGANISATIONS, consumer): 1, (ORGANISATIONS, provider): 1},
        inserts=[
            Insert(REQUESTS, {"log_id": log_id, "id": request_id, **both, **asked, **request}),
            Insert(GRANTS, row),
        ],
        once=[Once(f"ask:{grant_id}", now + 30 * DAY_MS, {"id": request_id})],
    )


async def load(ledger: Ledger, parties: tuple[str, str], tasks: int, seconds: float) -> Figures:
    latencies: list[float] = []
    started = time.perf_counter()

    async def one() -> None:
        while time.perf_counter() < started + seconds:
            began = time.perf_counter()
            await ledger.commit(grant(ledger, *parties))
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*[one() for _ in range(tasks)])
    return figures(latencies, time.perf_counter() - started)


def run(name: str, url: str, folder: Path, seconds: float, rounds: int) -> None:
    db = Database(url)
    migrate(db)
    ledger = Ledger(db, Keeper(folder / "checkpoints"), load_signer(folder / "keys", ""))
    parties = organisations(db)
    for tasks in TASKS:
        runs = [uvloop.run(load(ledger, parties, tasks, seconds)) for _ in range(rounds)]
        print(f"{name:<11} ledger alone     {tasks:>3} tasks   {median(runs)}", flush=True)
    ledger.close()
    db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'bench.sqlite3'}"
        run("sqlite", url, folder / "sqlite", options.seconds, options.rounds)
        try:
            with Postgres() as postgres:
                url = postgres.create_database("bench")
                run("postgresql", url, folder / "postgresql", options.seconds, options.rounds)
        except PostgresUnavailable as reason:
            print(f"postgresql  skipped: {reason}")


if __name__ == "__main__":
    main()
