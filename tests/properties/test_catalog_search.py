"""Searching the catalog finds what brute force finds, for everybody, page by page, on both."""

from dataclasses import replace
from functools import partial
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.catalog import search
from exchange.catalog.documents import may_know
from exchange.catalog.index import normalise
from exchange.catalog.keep_index import new_entry
from exchange.catalog.model import Offering
from exchange.catalog.search import find, wanted_by
from exchange.catalog.store import OFFERINGS, values_of
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.write import Insert, Write
from tests.support.desk import TERMS
from tests.support.ledgers import organisation

ZH = ("物流", "铁路", "流量", "物", "数据", "铁路物流量数据铁路物流量数据统计")
EN = ("Rail", "freight", "DATA", "ra", "flow", "ｒａ", "５Ｇ", "Straße", "\U0010ffff")
PARTS = (*ZH, *EN, " ", "\n")
LONG = ("物流量数据铁路物流量数据统", "物流量数据铁路物流量数据物", "流量数据铁路物流量数据统计")
MIXED = ("5g物流", "5G", "物流5", "rail物", "路rai", "strass", "物\U0010ffff", "\U0010ffff" * 3)
QUERIES = (*ZH, *EN, *LONG, *MIXED, "流", "il f", "铁路物", "rai", "q", "数 据", "物流 rail")
ORGS = [f"org_{letter * 26}" for letter in "012"]


def offerings(random):
    """Offerings of every state and audience, out of few words so that much is found."""
    for _ in range(120):
        texts = {
            f"{name}_{lang}": "".join(random.choices(PARTS, k=random.randrange(5)))
            for name in ("title", "description")
            for lang in ("en", "zh")
        }
        terms = replace(
            TERMS,
            **texts,
            kind=random.choice(("dataset", "compute")),
            industries=tuple(random.sample(("retail", "postal", "industry"), random.randrange(3))),
            classification=random.choice(("general", "important")),
            jurisdictions=tuple(random.sample(("CN", "SG"), random.randrange(1, 3))),
            audience=random.choice((None, None, tuple(random.sample(ORGS, 1)))),
            sandbox=random.random() < 0.3,
        )
        status = random.choice(("draft", "published", "published", "withdrawn"))
        version = 0 if status == "draft" else 1
        yield Offering(new_id("off"), random.choice(ORGS), version, status, terms, (), 1, 0, 0)


def brute_force(everything, caller, q, facets):
    """What the search must find, said without an index."""
    wanted = normalise(q or "").split()

    def fits(offering):
        terms = offering.terms
        is_own = caller.reads(offering.provider_id)
        if not (is_own or (offering.status == "published" and may_know(offering, caller))):
            return False
        texts = [terms.title_en, terms.title_zh, terms.description_en, terms.description_zh]
        if not all(any(word in normalise(text) for text in texts) for word in wanted):
            return False
        has = {
            "kind": {terms.kind},
            "industry": set(terms.industries),
            "classification": {terms.classification},
            "jurisdiction": set(terms.jurisdictions),
            "platform": {offering.provider_id},
            "sandbox": {"true"} if terms.sandbox else set(),
        }
        return all(not facets.get(name) or has[name] & set(facets[name]) for name in has)

    return sorted((o.id for o in everything if fits(o)), reverse=True)


CALLERS = [
    Caller("cli_0", ORGS[0], frozenset(), frozenset()),
    Caller("cli_1", "org_" + "9" * 26, frozenset(), frozenset()),
    Caller("cli_2", "org_" + "9" * 26, frozenset(), frozenset(), sight=frozenset(ORGS[1:])),
    Caller("cli_3", "org_" + "9" * 26, frozenset(), frozenset(), sight=None),
]
some = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.lists(st.sampled_from(["dataset", "compute"])),
        "industry": st.lists(st.sampled_from(["retail", "postal", "industry", "catering"])),
        "classification": st.lists(st.sampled_from(["general", "core"])),
        "jurisdiction": st.lists(st.sampled_from(["CN", "SG", "DE"])),
        "platform": st.lists(st.sampled_from(ORGS)),
        "sandbox": st.just(["true"]),
    },
)
queries = st.none() | st.sampled_from(QUERIES) | st.text("物流铁raildt ", max_size=5)
FULL_LISTS, FULL_RANGES, FULL_WEIGHED = search.FEW, search.SOME, search.WEIGHED
weighing = st.sampled_from([(FULL_LISTS, FULL_RANGES, FULL_WEIGHED), (2, 1, 1), (5, 9, 2)])


def of_texts(made):
    """Substrings of what the offerings say, so that long queries find something too."""
    texts = sorted({t for o in made for t in (o.terms.title_en, o.terms.description_zh) if t})
    return st.builds(
        lambda text, at, length: text[at : at + length],
        st.sampled_from(texts),
        st.integers(0, 30),
        st.integers(1, 30),
    )


async def test_it_finds_what_brute_force_finds(exchange, monkeypatch):
    """Whatever list is walked, and whether a page ends with its limit or its budget."""
    made = list(offerings(Random(4)))
    inserts = [organisation(org) for org in ORGS]
    for offering in made:
        row = {"id": offering.id, "rev": 1, **values_of(offering)}
        inserts += [Insert(OFFERINGS, row), *new_entry(offering)]
    await exchange.ledger.commit(Write(inserts=inserts))
    sizes = set()

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.sampled_from(CALLERS),
        queries | of_texts(made),
        some,
        st.sampled_from([7, 200, 200]),
        st.sampled_from([9, 1000, 1000]),
        weighing,
    )
    def agree(caller, q, facets, limit, budget, weighed):
        for name, value in zip(("FEW", "SOME", "WEIGHED"), weighed, strict=True):
            monkeypatch.setattr(search, name, value)
        expected = brute_force(made, caller, q, facets)
        wanted, walked, after = wanted_by(caller, q, **facets), [], "~"
        while after is not None:
            ask = partial(find, wanted=wanted, after=after, limit=limit, budget=budget)
            page = exchange.db.read_now(ask)
            assert len(page.ids) <= limit
            assert page.next is None or page.next < after  # it comes to an end
            walked += page.ids
            after = page.next
        assert walked == expected
        sizes.add(len(expected))

    agree()
    assert {0, 1} < sizes  # it was no test of finding nothing
    assert max(sizes) > 50
