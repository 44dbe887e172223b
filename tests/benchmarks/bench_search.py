"""Searching 10^3 and 10^5 offerings on both databases: p50 and p99 of each kind of question.

The page is found and its offerings are read, as the route does, without HTTP. The sizes take turns,
question by question, so that whatever else the machine does meets both. The columns: how many
offerings a page holds on average; milliseconds; and how many times as long the larger catalog took.

    python -m tests.benchmarks.bench_search [--sizes 1000 100000] [--questions 400]
        [--database sqlite]
"""

import argparse
import asyncio
import gc
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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
SOMEBODY = Caller("cli_0", "org_" + "9" * 26, frozenset(), frozenset())
PRIVATE = 20  # one of so many is


def org(n: int) -> str:
    return f"org_{n:026d}"


def name(n: int) -> str:
    """A name that no other number has, of letters and digits."""
    return f"xq{n:06d}"


def rare(n: int) -> str:
    """A word of two Chinese characters that no other number has."""
    return chr(0x5000 + n % 1000) + chr(0x6000 + n // 1000)


def made(count: int, chance: random.Random) -> Iterator[Offering]:
    """Offerings of a few common words, each with names of its own, half of a class of two."""
    for n in range(count):
        terms = replace(
            OFFERED,
            title_en=f"{' '.join(chance.sample(COMMON_EN, 2))} {name(n)}",
            title_zh="".join(chance.sample(COMMON_ZH, 3)) + f"（{'甲乙'[n % 2]}类）",
            description_en=" ".join(chance.sample(COMMON_EN, 4)),
            description_zh=f"{rare(n)}表" + ("，季度" if n % 100 == 7 else ""),
            industries=tuple(chance.sample(INDUSTRIES, 1)),
            audience=(org(n // PRIVATE % PLATFORMS),) if n % PRIVATE == 0 else None,
        )
        provider = org(chance.randrange(PLATFORMS))
        yield Offering(new_id("off"), provider, 1, "published", terms, (), 1, 0, 0)


@dataclass
class Place:
    """A catalog of some size, and what it holds."""

    catalog: Catalog
    offerings: list[Offering]

    def public(self, chance: random.Random) -> Offering:
        return self.offerings[chance.randrange(len(self.offerings) // PRIVATE) * PRIVATE + 1]


@dataclass
class Question:
    """What is asked: the text, the facets, by whom, from where on; or counts of facets."""

    text: str | None = None
    facets: Mapping[str, list[str]] | None = None
    caller: Caller = SOMEBODY
    after: str | None = None
    counts: bool = False


def deep(place: Place, chance: random.Random) -> str:
    """Where somebody is who has turned many pages."""
    return place.offerings[chance.randrange(len(place.offerings) // 5, len(place.offerings))].id


Make = Callable[[Place, random.Random], Question]
QUESTIONS: dict[str, Make] = {
    "everything": lambda _, c: Question(),
    "everything, deep": lambda p, c: Question(after=deep(p, c)),
    "two characters": lambda _, c: Question(c.choice(COMMON_ZH)),
    "two characters, deep": lambda p, c: Question(c.choice(COMMON_ZH), after=deep(p, c)),
    "two rare characters": lambda p, c: Question(rare(p.offerings.index(p.public(c)))),
    "one character": lambda _, c: Question(c.choice(COMMON_ZH)[0]),
    "one in a hundred": lambda _, c: Question("季度"),
    "a word": lambda _, c: Question(c.choice(COMMON_EN)),
    "a word's beginning": lambda _, c: Question(c.choice(COMMON_EN)[:3]),
    "a word's middle": lambda _, c: Question(c.choice(COMMON_EN)[1:4]),
    "one offering's name": lambda p, c: Question(p.public(c).terms.title_en.split()[-1]),
    "a part of its name": lambda p, c: Question(p.public(c).terms.title_en[-6:]),
    "its whole title": lambda p, c: Question(p.public(c).terms.title_en),
    "its Chinese title": lambda p, c: Question(p.public(c).terms.title_zh),
    "what is nowhere": lambda _, c: Question(f"无{c.randrange(9)}此物"),
    "nowhere, of common": lambda _, c: Question("freightrail" if c.randrange(2) else "物流公路铁"),
    "two words": lambda _, c: Question(f"{c.choice(COMMON_EN)} {c.choice(COMMON_ZH)}"),
    "words never together": lambda _, c: Question("甲类 乙类"),
    "two facets": lambda _, c: Question(
        facets={"industry": c.sample(INDUSTRIES, 2), "kind": ["dataset"]}
    ),
    "word, two facets": lambda _, c: Question(
        c.choice(COMMON_ZH), {"industry": c.sample(INDUSTRIES, 2), "kind": ["dataset"]}
    ),
    "one platform's": lambda _, c: Question(facets={"platform": [org(c.randrange(PLATFORMS))]}),
    "word, one platform's": lambda _, c: Question(
        c.choice(COMMON_ZH), {"platform": [org(c.randrange(PLATFORMS))]}
    ),
    "word, who sees more": lambda _, c: Question(
        c.choice(COMMON_ZH), caller=replace(SOMEBODY, org_id=org(c.randrange(PLATFORMS)))
    ),
    "word, who sees all": lambda _, c: Question(
        c.choice(COMMON_ZH), caller=replace(SOMEBODY, sight=None)
    ),
    "counts of everything": lambda _, c: Question(counts=True),
    "counts of a word": lambda _, c: Question(c.choice(COMMON_EN), counts=True),
    "counts of two words": lambda _, c: Question(
        f"{c.choice(COMMON_EN)} {c.choice(COMMON_ZH)}", counts=True
    ),
}


def fill(database: OwnDatabase, count: int) -> Place:
    """Make a database of that many offerings, past the ledger: only reading is measured."""
    db = database.connect()
    orgs = [dict(organisation(org(n)).values) for n in range(PLATFORMS)]
    offerings = list(made(count, random.Random(4)))
    offerings.sort(key=lambda offering: offering.id)
    with db.writing() as connection:
        insert_rows(connection, ORGANISATIONS, orgs)
    at_once = 20_000 if database.kind == "sqlite" else 2_000  # PostgreSQL's statements time out
    for start in range(0, count, at_once):
        some = offerings[start : start + at_once]
        rows = [{"id": o.id, "rev": 1, **values_of(o)} for o in some]
        found = [
            (o.id, index_of(r["provider_id"], r["status"], r["terms"]))
            for o, r in zip(some, rows, strict=True)
        ]
        texts = [{"id": i, "text": x.text, "facets": list(x.facets), "rev": 1} for i, x in found]
        terms = sorted((term, i) for i, x in found for term in x.terms)
        listed = [{"term": t, "offering_id": i} for t, i in terms]
        with db.writing() as connection:
            insert_rows(connection, OFFERINGS, rows)
            insert_rows(connection, SEARCH, texts)
            insert_rows(connection, TERMS, listed)
    if database.kind == "postgres":  # as autovacuum does soon after such a load
        database.sql("VACUUM ANALYZE")
    return Place(Catalog(db), offerings)


async def ask(catalog: Catalog, asked: Question) -> int:
    """One question as the routes ask it; returns how many offerings were shown or counted."""
    wanted = wanted_by(asked.caller, asked.text, **(asked.facets or {}))
    if asked.counts:
        return (await catalog.facets(wanted))[0]
    return len((await catalog.search(wanted, asked.after, 50))[0])


async def measure(places: list[Place], make: Make, count: int) -> list[tuple[float, ...]]:
    """Return, a place, offerings a page and p50 and p99 in ms; the places take turns."""
    chance = random.Random(7)
    taken: list[list[float]] = [[] for _ in places]
    shown = [0] * len(places)
    gc.disable()
    for turn in range(-20, count):
        for at, place in enumerate(places):
            asked, started = make(place, chance), time.perf_counter()
            found = await ask(place.catalog, asked)
            if turn >= 0:
                taken[at].append((time.perf_counter() - started) * 1000)
                shown[at] += found
        if turn % 50 == 0:
            gc.collect()
    gc.enable()
    ordered = [sorted(each) for each in taken]
    return [
        (all_ / count, each[count // 2], each[count * 99 // 100])
        for all_, each in zip(shown, ordered, strict=True)
    ]


def run(kind: str, sizes: list[int], count: int, only: str) -> dict[str, Any]:
    """Measure one database at each size, and print a line a kind of question."""
    figures: dict[str, Any] = {}
    databases, places = [], []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for size in sizes:
                database = OwnDatabase(kind, Path(folder) / f"state{size}")
                databases.append(database)
                started = time.monotonic()
                places.append(fill(database, size))
                filled = time.monotonic() - started
                (listed,) = database.sql("SELECT count(*) FROM offering_terms")[0]
                print(f"{kind}: {size:,} offerings, {listed:,} terms, filled in {filled:.0f} s")
            print(f"\n{kind:<21} {'a page of, p50, p99 at':>22} {sizes[0]:,} and {sizes[-1]:,}")
            for label, make in QUESTIONS.items():
                if only not in label:
                    continue
                figures[label] = asyncio.run(measure(places, make, count))
                (n, a50, a99), (m, b50, b99) = figures[label][0], figures[label][-1]
                print(
                    f"{label:<21} {n:5.0f} {a50:8.2f} {a99:8.2f}   {m:5.0f} {b50:8.2f} {b99:8.2f}"
                    f"   {b50 / a50:6.1f} {b99 / a99:6.1f}",
                    flush=True,
                )
        finally:
            for place in places:
                place.catalog.db.close()
            for database in databases:
                database.remove()
    return figures


def main() -> None:
    """Run what the arguments say, and print JSON at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--questions", type=int, default=400, help="of each kind")
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--database", choices=["sqlite", "postgres"], action="append")
    options = parser.parse_args()
    everything = {}
    for kind in options.database or ["sqlite", "postgres"]:
        everything[kind] = run(kind, options.sizes, options.questions, options.only)
    print(json.dumps(everything))


if __name__ == "__main__":
    main()
