"""What a platform may offer as a sandbox: harmless, open, small and short, or a refusal that says
what has to change."""

import pytest
from pydantic import ValidationError

from exchange.app import _not_valid
from exchange.catalog.documents import OfferingIn
from exchange.catalog.index import SANDBOX, index_of
from exchange.catalog.model import terms_of

CONNECTION = "con_" + "0" * 26
DATASET = {
    "title_en": "a",
    "title_zh": "甲",
    "classification": "general",
    "personal_information": "none",
    "purposes": ["market_analysis", "trial"],
    "max_days": 7,
    "max_sessions": 3,
    "jurisdictions": ["CN"],
    "sandbox": True,
}
SERVICE = DATASET | {
    "kind": "compute",
    "max_sessions": None,
    "limits": {"calls": 5},
    "source": {"connector": "http", "connection": CONNECTION, "allow": ["GET /stats/*"]},
}
FIELD = {"name": "use", "label_en": "Use", "label_zh": "用途"}
HARMS = [
    ({"classification": "important"}, "classification general"),
    ({"classification": "core"}, "classification general"),
    ({"personal_information": "personal"}, "personal_information none"),
    ({"personal_information": "sensitive"}, "personal_information none"),
    ({"approval": "provider"}, "approval automatic"),
    ({"approval": "provider", "approvers": 2}, "approval automatic"),
    ({"form": [FIELD]}, "no form"),
    ({"terms_en": "Keep it."}, "no terms_en/zh"),
    ({"terms_zh": "保密。"}, "no terms_en/zh"),
    ({"audience": ["org_" + "0" * 26]}, "no audience"),
    ({"max_days": 8}, "max_days <= 7"),
    ({"purposes": ["market_analysis"]}, "purpose trial"),
]


def refusal_of(terms):
    with pytest.raises(ValidationError) as refused:
        OfferingIn(**terms)
    problem = _not_valid(refused.value.errors()).problem()
    assert problem["status"] == 422
    return problem["detail"]


@pytest.mark.parametrize(
    "terms",
    [
        DATASET,
        DATASET | {"max_days": 1, "limits": {"concurrent": 1}},
        DATASET | {"max_sessions": None, "limits": {"bytes": 1_000_000}},
        SERVICE,
        SERVICE | {"kind": "technology", "limits": {"calls": 1, "paths": ["GET /stats/a"]}},
    ],
)
def test_what_is_harmless_and_open_may_be_one(terms):
    kept = OfferingIn(**terms).terms()
    assert kept.sandbox
    assert terms_of(kept.as_document()) == kept


REDIRECTED = {
    "connector": "s3",
    "connection": "con_" + "0" * 26,
    "path": "a",
    "delivery": "redirect",
}


@pytest.mark.parametrize("base", [DATASET, SERVICE], ids=["dataset", "service"])
@pytest.mark.parametrize(("harm", "told"), HARMS)
def test_what_is_not_is_refused_in_clear_words(base, harm, told):
    assert told in refusal_of(base | harm)
    assert not OfferingIn(**base | harm | {"sandbox": False}).terms().sandbox


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        (DATASET | {"max_sessions": None}, "max_sessions or limits.bytes"),
        (DATASET | {"max_sessions": None, "limits": {"concurrent": 1}}, "max_sessions or limits"),
        (SERVICE | {"limits": {"bytes": 9}}, "limits.calls"),
        (SERVICE | {"limits": {"calls_per_minute": 9}, "max_sessions": 9}, "limits.calls"),
        (SERVICE | {"kind": "technology", "limits": {}}, "limits.calls"),
        (SERVICE | {"limits": {"calls": 1001}}, "limits.calls <= 1000"),
        (DATASET | {"max_sessions": 101}, "max_sessions <= 100"),
        (DATASET | {"limits": {"bytes": (1 << 30) + 1}}, "limits.bytes <= 1073741824"),
        (DATASET | {"source": REDIRECTED}, "delivery stream"),
    ],
)
def test_a_try_has_an_end(terms, told):
    assert told in refusal_of(terms)


def test_all_that_has_to_change_is_named_at_once():
    harm = {"classification": "core", "personal_information": "sensitive", "form": [FIELD]}
    harm |= {"approval": "provider", "approvers": 2, "audience": ["org_" + "0" * 26]}
    harm |= {"terms_en": "a", "max_days": 90, "max_sessions": None, "purposes": ["compliance"]}
    told = refusal_of(DATASET | harm)
    for _, each in HARMS:
        assert each in told
    assert told.endswith("max_sessions or limits.bytes")
    few = refusal_of(DATASET | {"max_days": 90, "form": [FIELD]})
    assert few.endswith("a sandbox needs no form; max_days <= 7")


@pytest.mark.parametrize("wrong", ["true", 1, None, "yes"])
def test_the_flag_is_true_or_false(wrong):
    assert "sandbox" in refusal_of(DATASET | {"sandbox": wrong})


def test_older_terms_are_none_and_are_indexed_as_ever():
    kept = OfferingIn(**DATASET).terms().as_document()
    assert SANDBOX in index_of("org_1", "published", kept).facets
    del kept["sandbox"]
    assert not terms_of(kept).sandbox
    assert SANDBOX not in index_of("org_1", "published", kept).facets
    assert index_of("org_1", "published", kept) == index_of(
        "org_1", "published", kept | {"sandbox": False}
    )
