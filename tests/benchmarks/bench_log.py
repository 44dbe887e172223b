"""Searching the log at 1,000 and 100,000 entries: p50 and p99 of a page, and their ratios.

No HTTP: each search as the route asks for it, 50 entries a page, the index as far as it comes.

    python -m tests.benchmarks.bench_log [--searches 200]
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

from exchange.clock import DAY_MS, now_ms
from exchange.db import Database
from exchange.ids import new_id
from exchange.ledger.index import LogIndex
from exchange.ledger.keep import Keeper
from exchange.ledger.ledger import Ledger
from exchange.ledger.search import Wanted, search
from exchange.ledger.start import load_signer
from exchange.ledger.write import Write
from exchange.migrate import migrate
from infra.postgres import Postgres, PostgresUnavailable
from tests.benchmarks.load import Figures, figures

SIZES = (1_000, 100_000)
REASONS = ("purpose_not_offered", "too_long", "jurisdiction_not_offered", "size_not_offered")


class Log:
    """A log of the year to come: 40 organisations, some far busier, and what is asked of it."""

    def __init__(self, size: int) -> None:
        self.size, self.chance = size, random.Random(1)
        self.orgs = [new_id("org") for _ in range(40)]
        self.offerings = [new_id("off") for _ in range(200)]
        self.grants: list[str] = []
        self.begins = now_ms()  # like its log.opened.v1, so times and indexes rise together

    def some(self, of: list[str]) -> str:
        return of[int(len(of) * self.chance.random() ** 3)]

    async def fill(self, ledger: Ledger) -> None:
        for at in range(1, self.size, 200):
            count = min(200, self.size - at)
            await ledger.commit(Write([self._event(ledger, at + n) for n in range(count)]))
        index = LogIndex(ledger)
        while await index.step():
            pass

    def _event(self, ledger: Ledger, n: int):
        consumer, provider = self.some(self.orgs), self.some(self.orgs)
        both = {"consumer_id": consumer, "provider_id": provider}
        data = {**both, "offering_id": self.some(self.offerings), "purpose": "marketing"}
        data["request_id"] = subject = new_id("req", ledger.log_id)
        kind = "decision.denied.v1"
        if self.chance.random() < 0.7:
            kind, subject = "grant.activated.v1", new_id("grt", ledger.log_id)
            data["grant_id"] = subject
            self.grants.append(subject)
        else:
            data["reasons"] = [self.some(list(REASONS))]
        time_ms = self.begins + n * 365 * DAY_MS // self.size
        return ledger.event(kind, subject, data, time_ms=time_ms, **both)

    def searches(self) -> dict[str, Callable[[], Wanted]]:
        def moment() -> int:
            return self.begins + int(self.chance.random() * 360) * DAY_MS

        def refs(*texts: str) -> Wanted:
            return Wanted(frozenset(texts), newest=True)

        return {
            "newest": lambda: Wanted(newest=True),
            "from an index on": lambda: Wanted(start=self.chance.randrange(self.size)),
            "a grant": lambda: refs(f"grt:{self.chance.choice(self.grants)}"),
            "an organisation": lambda: refs(f"org:{self.some(self.orgs)}"),
            "organisation, reason": lambda: refs(
                f"org:{self.some(self.orgs)}", f"reason:{self.some(list(REASONS))}"
            ),
            "offering, kind, a month": lambda: self._month(moment()),
            "a day": lambda: self._day(moment()),
        }

    def _month(self, since: int) -> Wanted:
        refs = frozenset([f"off:{self.some(self.offerings)}", "kind:grant.activated.v1"])
        return Wanted(refs, since_ms=since, until_ms=since + 30 * DAY_MS)

    def _day(self, since: int) -> Wanted:
        return Wanted(since_ms=since, until_ms=since + DAY_MS, newest=True)


async def measure(ledger: Ledger, make: Callable[[], Wanted], count: int) -> Figures:
    latencies = []
    began = time.perf_counter()
    for _ in range(count):
        wanted, at = make(), time.perf_counter()
        await search(ledger, wanted, 50)
        latencies.append(time.perf_counter() - at)
    return figures(latencies, time.perf_counter() - began)


async def run(name: str, url: str, folder: Path, size: int, count: int) -> dict[str, Figures]:
    db = Database(url)
    migrate(db)
    ledger = Ledger(db, Keeper(folder / "checkpoints"), load_signer(folder / "keys", ""))
    log = Log(size)
    began = time.perf_counter()
    await log.fill(ledger)
    if not db.is_sqlite:  # autovacuum does it within a minute of such a load
        with db.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
    print(
        f"{name:<11} {size:>7} entries written and indexed in {time.perf_counter() - began:.0f} s"
    )
    found = {}
    for label, make in log.searches().items():
        await measure(ledger, make, 20)
        found[label] = await measure(ledger, make, count)
    await asyncio.to_thread(ledger.close)
    db.close()
    return found


def compare(name: str, made: Callable[[int], str], folder: Path, count: int) -> None:
    small, large = (
        uvloop.run(run(name, made(size), folder / f"{name}{size}", size, count)) for size in SIZES
    )
    for label, few in small.items():
        many = large[label]
        print(
            f"{name:<11} {label:<24} p50 {few.p50_ms:6.2f} → {many.p50_ms:6.2f} ms "
            f"({many.p50_ms / few.p50_ms:4.1f}×)   p99 {few.p99_ms:6.2f} → {many.p99_ms:6.2f} ms "
            f"({many.p99_ms / few.p99_ms:4.1f}×)",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare(
            "sqlite", lambda n: f"sqlite:///{folder / f'{n}.sqlite3'}", folder, options.searches
        )
        try:
            with Postgres() as postgres:
                compare(
                    "postgresql",
                    lambda n: postgres.create_database(f"bench{n}"),
                    folder,
                    options.searches,
                )
        except PostgresUnavailable as reason:
            print(f"postgresql  skipped: {reason}")


if __name__ == "__main__":
    main()
