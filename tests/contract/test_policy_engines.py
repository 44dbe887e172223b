"""One suite over both sides of the policy door: embedded OPA and OPA server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from exchange.policy import (
    KNOWN_OBLIGATIONS,
    Decision,
    PolicyEngine,
    PolicyRefusedInput,
    Reason,
    Remedy,
    load_bundle,
    open_engine,
)
from tests.support.opa import ROOT, OpaServer, absent, opa_server  # noqa: F401
from tests.support.policy_inputs import SIZES, attribute, sample

VECTORS = ROOT.parent / "shared" / "notes" / "sme_thresholds.json"
FIGURES = {"employees": "headcount", "revenue": "revenue_cny_10k", "assets": "assets_cny_10k"}


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.opa)])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PolicyEngine]:
    if request.param == "server":
        server: OpaServer = request.getfixturevalue("opa_server")
        opened = open_engine("server", opa_url=server.url)
    else:
        opened = open_engine("embedded", cache_dir=tmp_path / "cache")
    yield opened
    await opened.aclose()


def only(code: str, **params: Any) -> tuple[Reason, ...]:
    return (Reason(code, params),)


async def test_permit(engine: PolicyEngine) -> None:
    decision = await engine.decide(sample())
    expected = {"days": 30, "sessions": 100}
    assert decision == Decision("permit", (), (), expected, load_bundle().revision)
    assert decision.obligations.keys() <= KNOWN_OBLIGATIONS
    assert decision.policy_digest == engine.digest


async def test_refusal_with_a_remedy(engine: PolicyEngine) -> None:
    document = sample()
    document["request"]["purpose"] = "market_analysis"
    decision = await engine.decide(document)
    assert decision.outcome == "deny"
    assert decision.reasons == only("purpose_not_allowed", purpose="market_analysis")
    purposes = ["logistics_planning", "scientific_research"]
    assert decision.remedies == (Remedy("choose_purpose", {"purposes": purposes}),)
    assert decision.obligations == {}
    assert decision.as_document()["decision"] == "deny"
    assert json.loads(json.dumps(decision.as_document())) == decision.as_document()


@pytest.mark.parametrize(
    ("term", "value", "code"),
    [
        ("approval", "provider", "approval_required_provider"),
        ("classification", "important", "approval_required_important"),
        ("personal_information", "sensitive", "approval_required_sensitive"),
    ],
)
async def test_approval(engine: PolicyEngine, term: str, value: str, code: str) -> None:
    document = sample()
    document["offering"][term] = value
    decision = await engine.decide(document)
    assert decision.outcome == "needs_approval"
    assert decision.reasons == only(code)
    document["approvals"] = [{"by": document["consumer"]["id"], "at": document["now"]}]
    assert (await engine.decide(document)).outcome == "needs_approval", "approved by itself"
    document["approvals"].append({"by": "mbr_approver", "at": document["now"]})
    assert (await engine.decide(document)).outcome == "permit"
    document["request"]["days"] = 91
    assert (await engine.decide(document)).outcome == "deny"


async def size_of(engine: PolicyEngine, industry: str, figures: dict[str, int]) -> str:
    """Return the size class, as seen in the refusal of an offering that is open to none."""
    document = sample()
    document["offering"]["sizes"] = []
    document["consumer"]["attributes"] = {
        "jurisdiction": attribute("CN"),
        "industry": attribute(industry),
        **{name: attribute(figure) for name, figure in figures.items()},
    }
    (reason,) = (await engine.decide(document)).reasons
    assert reason.code == "size_not_allowed"
    size = str(reason.params["size"])
    document["offering"]["sizes"] = [size]
    assert (await engine.decide(document)).outcome == "permit"
    document["offering"]["sizes"] = [other for other in SIZES if other != size]
    assert (await engine.decide(document)).outcome == "deny"
    return size


async def test_threshold_vectors(engine: PolicyEngine) -> None:
    if not VECTORS.is_file():
        absent("the size classes' vectors are not beside the repository (../shared/notes)")
    table = json.loads(VECTORS.read_text())
    assert len(table["test_vectors"]) >= 6
    for vector in table["test_vectors"]:
        figures = {FIGURES[name]: vector[name] for name in FIGURES if name in vector}
        assert await size_of(engine, vector["industry"], figures) == vector["expect"], vector


def expected_size(bounds: dict[str, list[int]], figures: dict[str, int]) -> str:
    for tier, name in enumerate(("large", "medium", "small")):
        if all(figures[measure] >= tiers[tier] for measure, tiers in bounds.items()):
            return name
    return "micro"


async def test_every_bound_of_every_industry(engine: PolicyEngine) -> None:
    if not VECTORS.is_file():
        absent("the size classes' table is not beside the repository (../shared/notes)")
    seen = set()
    for industry, bounds in json.loads(VECTORS.read_text())["industries"].items():
        for measure, tiers in bounds.items():
            for bound in (tiers[0], tiers[0] - 1, tiers[1] - 1, tiers[2], tiers[2] - 1):
                # All other figures at the top: this one alone decides.
                figures = dict.fromkeys(bounds, 10**9) | {measure: bound}
                named = {FIGURES[name]: figure for name, figure in figures.items()}
                size = await size_of(engine, industry, named)
                assert size == expected_size(bounds, figures), (industry, figures)
                seen.add(size)
    assert seen == set(SIZES)


async def test_refused_input(engine: PolicyEngine) -> None:
    document = sample()
    document["offering"]["max_days"] = "90"
    with pytest.raises(PolicyRefusedInput) as caught:
        await engine.decide(document)
    assert caught.value.where == "offering/max_days"


async def test_same_input_same_answer(engine: PolicyEngine) -> None:
    document = sample()
    document["consumer"]["status"] = "suspended"
    document["request"].update(actions=["write", "call"], days=1000)
    first = await engine.decide(document)
    assert [reason.code for reason in first.reasons] == [
        *("action_not_supported", "action_not_supported"),
        *("consumer_not_active", "duration_too_long"),
    ]
    for _ in range(20):
        assert await engine.decide(sample()) != first
        assert await engine.decide(document) == first


async def test_keys_in_any_order(engine: PolicyEngine) -> None:
    def turned(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: turned(node[key]) for key in reversed(node)}
        return node

    assert await engine.decide(turned(sample())) == await engine.decide(sample())
