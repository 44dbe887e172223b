"""Searching 10^3 and 10^5 offerings on both databases: p50 and p99 of each kind of question.

The page is found and its offerings are read, as the route does, without HTTP. The
last two columns say how many times as long the larger catalog took, at p50 and at p99.

    python -m tests.benchmarks.bench_search [--sizes 1000 100000] [--seconds 2] [--database sqlite]
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from exchange.catalog.index import index_of
from exchange.catalog.model import Offering
from exchange.catalog.search import SEARCH, TERMS, wanted_by
from exchange.catalog.store import OFFERINGS, Catalog, values_of
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.bulk import insert_rows
from exchange.participants.store import ORGANISATIONS
from tests.support.desk import TERMS as OFFERED
from tests.support.ledgers import OwnDatabase, organisation

WORDS = "rail road freight port flight cargo stock price retail energy water grid"
WORDS_ZH = "铁路 公路 物流 港口 航班 货运 库存 价格 零售 能源 用水 电网 数据 统计"
COMMON_EN, COMMON_ZH = WORDS.split(), WORDS_ZH.split()
INDUSTRIES = ("transport", "warehousing", "postal", "retail", "wholesale", "industry")
PLATFORMS = 50
SOMEBODY = Caller("cli_0", "org_" + "0" * 26, frozenset(), frozenset())
Question = Callable[[random.Random], dict[str, Any]]


def made(count: int, chance: random.Random) -> Iterator[Offering]:
    """Offerings of a few common words, and each with a name of its own; one of 20 is private."""
    orgs = [f"org_{n:026d}" for n in range(PLATFORMS)]
    for n in range(count):
        terms = replace(
            OFFERED,
            title_en=f"{' '.join(chance.sample(COMMON_EN, 2))} {name(n)}",
            title_zh="".join(chance.sample(COMMON_ZH, 3)),
            description_en=" ".join(chance.sample(COMMON_EN, 4)),
            industries=tuple(chance.sample(INDUSTRIES, 1)),
            audience=(orgs[n % PLATFORMS],) if n % 20 == 0 else None,
        )
        yield Offering(new_id("off"), chance.choice(orgs), 1, "published", terms, (), 1, 0, 0)


def name(n: int) -> str:
    """A name that no other number has, of rare letters and digits."""
    return f"xq{n:06d}"


QUESTIONS: dict[str, Question] = {
    "everything": lambda _: {},
    "two characters": lambda c: {"query": c.choice(COMMON_ZH)},
    "one character": lambda c: {"query": c.choice(COMMON_ZH)[0]},
    "a word's part": lambda c: {"query": c.choice(COMMON_EN)[:3]},
    "one offering's name": lambda c: {"query": name(c.randrange(1000))},
    "what is nowhere": lambda c: {"query": f"无{c.randrange(9)}此物"},
    "two words": lambda c: {"query": f"{c.choice(COMMON_EN)} {c.choice(COMMON_ZH)}"},
    "word, two facets": lambda c: {
        "query": c.choice(COMMON_ZH),
        "industry": c.sample(INDUSTRIES, 2),
        "kind": ["dataset"],
    },
    "one platform's": lambda c: {
        "query": c.choice(COMMON_ZH),
        "platform": [f"org_{c.randrange(PLATFORMS):026d}"],
    },
    "facets of a word": lambda c: {"query": c.choice(COMMON_EN)},
}


def fill(database: OwnDatabase, count: int) -> Catalog:
    """Make a database of that many offerings, past the ledger: only reading is measured."""
    db = database.connect()
    orgs = [dict(organisation(f"org_{n:026d}").values) for n in range(PLATFORMS)]
    chance = random.Random(4)
    offerings = list(made(count, chance))
    with db.writing() as connection:
        insert_rows(connection, ORGANISATIONS, orgs)
        for start in range(0, count, 10_000):
            some = offerings[start : start + 10_000]
            rows = [{"id": o.id, "rev": 1, **values_of(o)} for o in some]
            insert_rows(connection, OFFERINGS, rows)
            found = [
                (o.id, index_of(r["provider_id"], r["status"], r["terms"]))
                for o, r in zip(some, rows, strict=True)
            ]
            insert_rows(
                connection,
                SEARCH,
                [{"id": i, "text": x.text, "facets": list(x.facets), "rev": 1} for i, x in found],
            )
            listed = sorted((term, i) for i, x in found for term in x.terms)
            insert_rows(connection, TERMS, [{"term": t, "offering_id": i} for t, i in listed])
    if database.kind == "postgres":
        database.sql("ANALYZE")
    return Catalog(db)


async def ask(catalog: Catalog, label: str, asked: dict[str, Any]) -> None:
    """One question as the routes ask it."""
    wanted = wanted_by(SOMEBODY, asked.pop("query", None), **asked)
    if label.startswith("facets"):
        await catalog.facets(wanted)
    else:
        await catalog.search(wanted, None, 50)


async def measure(catalog: Catalog, seconds: float) -> dict[str, tuple[float, float]]:
    """Return p50 and p99 in ms of each kind of question, one after another."""
    figures = {}
    for label, question in QUESTIONS.items():
        chance, taken = random.Random(7), []
        for _ in range(20):
            await ask(catalog, label, question(chance))
        until = time.monotonic() + seconds
        while time.monotonic() < until or len(taken) < 100:
            asked, started = question(chance), time.perf_counter()
            await ask(catalog, label, asked)
            taken.append((time.perf_counter() - started) * 1000)
        taken.sort()
        figures[label] = (taken[len(taken) // 2], taken[len(taken) * 99 // 100])
    return figures


def run(kind: str, sizes: list[int], seconds: float) -> dict[str, Any]:
    """Measure one database at each size."""
    figures = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            database = OwnDatabase(kind, Path(folder) / "state")
            started = time.monotonic()
            catalog = fill(database, size)
            filled = time.monotonic() - started
            (listed,) = database.sql("SELECT count(*) FROM offering_terms")[0]
            print(f"{kind}: {size:,} offerings, {listed:,} terms, filled in {filled:.0f} s")
            try:
                figures[size] = asyncio.run(measure(catalog, seconds))
            finally:
                catalog.db.close()
                database.remove()
    return figures


def show(kind: str, figures: dict[int, dict[str, tuple[float, float]]]) -> None:
    """Print a table; the ratios are those of the largest size to the smallest."""
    few, many = min(figures), max(figures)
    print(f"\n{kind:<20} {'p50, p99 in ms at':>18} {few:,} and {many:,}{'ratios':>22}")
    for label in QUESTIONS:
        (a50, a99), (b50, b99) = figures[few][label], figures[many][label]
        print(
            f"{label:<20} {a50:8.2f} {a99:8.2f}   {b50:8.2f} {b99:8.2f}"
            f"   {b50 / a50:6.1f} {b99 / a99:6.1f}"
        )


def main() -> None:
    """Run what the arguments say, and print JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    options = parser.parse_args()
    everything = {}
    for kind in options.database or ["sqlite", "postgres"]:
        everything[kind] = run(kind, options.sizes, options.seconds)
        show(kind, everything[kind])
    print(json.dumps(everything))


if __name__ == "__main__":
    main()
