"""Searching the log at 1,000 and 100,000 entries: p50 and p99 of a page, and their ratios.

No HTTP: each search as the route asks for it, 50 entries a page, the index as far as it comes. The
sizes take turns, search by search, so that whatever else the machine does meets both. The columns:
how many entries a page holds on average; milliseconds; how many times as long the larger log took.

    python -m tests.benchmarks.bench_log [--searches 400] [--sizes 1000 100000] [--database sqlite]
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

REASONS = ("purpose_not_offered", "too_long", "jurisdiction_not_offered", "size_not_offered")


Asked = tuple[Wanted, int | None]  # and the index to begin with


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

    def searches(self) -> dict[str, Callable[[], Asked]]:
        def moment() -> int:
            return self.begins + int(self.chance.random() * 360) * DAY_MS

        def refs(*texts: str, **more: Any) -> Asked:
            return Wanted(frozenset(texts), **{"newest": True, **more}), None

        def org() -> str:
            return self.some(self.orgs)

        activated, denied = "kind:grant.activated.v1", "kind:decision.denied.v1"
        return {
            "newest": lambda: refs(),
            "oldest": lambda: refs(newest=False),
            "deep": lambda: (Wanted(newest=True), self.chance.randrange(self.size)),
            "from an index on": lambda: refs(start=self.chance.randrange(self.size), newest=False),
            "a grant": lambda: refs(f"grt:{self.chance.choice(self.grants)}"),
            "a kind": lambda: refs(denied),
            "a reason": lambda: refs(f"reason:{self.some(list(REASONS))}"),
            "an offering": lambda: refs(f"off:{self.some(self.offerings)}"),
            "an organisation": lambda: refs(f"org:{org()}"),
            "an organisation, oldest": lambda: refs(f"org:{org()}", newest=False),
            "an organisation, deep": lambda: (
                Wanted(frozenset([f"org:{org()}"])),
                self.chance.randrange(self.size),
            ),
            "organisation, kind": lambda: refs(f"org:{org()}", activated),
            "organisation, reason": lambda: refs(
                f"org:{org()}", f"reason:{self.some(list(REASONS))}"
            ),
            "organisation, offering": lambda: refs(
                f"org:{org()}", f"off:{self.some(self.offerings)}"
            ),
            "what never meets": lambda: refs(activated, f"reason:{self.some(list(REASONS))}"),
            "never, oldest": lambda: refs(activated, "reason:too_long", newest=False),
            "what nobody named": lambda: refs(f"org:{new_id('org')}"),
            "offering, kind, a month": lambda: self._month(moment()),
            "a day": lambda: self._day(moment()),
            "since": lambda: refs(since_ms=moment(), newest=False),
            "until": lambda: refs(until_ms=moment()),
            "organisation, until": lambda: refs(f"org:{org()}", until_ms=moment()),
            "in sight": lambda: refs(sight=frozenset([org()])),
            "in sight, a kind": lambda: refs(denied, sight=frozenset([org(), org()])),
            "in sight, organisation": lambda: refs(f"org:{org()}", sight=frozenset([org()])),
        }

    def _month(self, since: int) -> Asked:
        refs = frozenset([f"off:{self.some(self.offerings)}", "kind:grant.activated.v1"])
        return Wanted(refs, since_ms=since, until_ms=since + 30 * DAY_MS), None

    def _day(self, since: int) -> Asked:
        return Wanted(since_ms=since, until_ms=since + DAY_MS, newest=True), None


@dataclass
class Place:
    """A log of some size, filled, and what stands in it."""

    ledger: Ledger
    log: Log


async def fill(name: str, url: str, folder: Path, size: int) -> Place:
    db = Database(url)
    migrate(db)
    ledger = Ledger(db, Keeper(folder / "checkpoints"), load_signer(folder / "keys", ""))
    log = Log(size)
    began = time.perf_counter()
    await log.fill(ledger)
    if not db.is_sqlite:  # autovacuum does it within a minute of such a load
        with db.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    print(
        f"{name:<11} {size:>7} entries written and indexed in {time.perf_counter() - began:.0f} s"
    )
    return Place(ledger, log)


async def measure(places: list[Place], label: str, count: int) -> list[tuple[float, Figures]]:
    """Return, a place, entries a page and the figures; the places take turns."""
    makes = [place.log.searches()[label] for place in places]
    latencies: list[list[float]] = [[] for _ in places]
    shown = [0] * len(places)
    began = time.perf_counter()
    for turn in range(-20, count):
        for at, (place, make) in enumerate(zip(places, makes, strict=True)):
            (wanted, start), started = make(), time.perf_counter()
            found = await search(place.ledger, wanted, 50, start)
            if turn >= 0:
                latencies[at].append(time.perf_counter() - started)
                shown[at] += len(found.leaves)
    seconds = time.perf_counter() - began
    return [(n / count, figures(each, seconds)) for n, each in zip(shown, latencies, strict=True)]


async def compare(
    name: str, made: Callable[[int], str], folder: Path, sizes: list[int], count: int
) -> None:
    places = [await fill(name, made(size), folder / f"{name}{size}", size) for size in sizes]
    for label in places[0].log.searches():
        (n, few), *_, (m, many) = await measure(places, label, count)
        print(
            f"{name:<11} {label:<24} {n:4.0f} {few.p50_ms:8.2f} {few.p99_ms:8.2f}   "
            f"{m:4.0f} {many.p50_ms:8.2f} {many.p99_ms:8.2f}   "
            f"{many.p50_ms / few.p50_ms:6.1f} {many.p99_ms / few.p99_ms:6.1f}",
            flush=True,
        )
    for place in places:
        await asyncio.to_thread(place.ledger.close)
        place.ledger.db.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=400, help="of each kind")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    options = parser.parse_args()
    kinds, sizes, count = (
        options.database or ["sqlite", "postgres"],
        options.sizes,
        options.searches,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "sqlite" in kinds:
            made = lambda n: f"sqlite:///{folder / f'{n}.sqlite3'}"  # noqa: E731
            uvloop.run(compare("sqlite", made, folder, sizes, count))
        if "postgres" in kinds:
            try:
                with Postgres() as postgres:
                    made = lambda n: postgres.create_database(f"bench{n}")  # noqa: E731
                    uvloop.run(compare("postgresql", made, folder, sizes, count))
            except PostgresUnavailable as reason:
                print(f"postgresql  skipped: {reason}")


if __name__ == "__main__":
    main()
