"""What the catalog is searched by: every substring of a text has its grams among the text's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.catalog.index import grams, index_of, narrowest, normalise, words

TERMS = {
    "kind": "dataset",
    "title_en": "ＲＡＩＬ freight",
    "title_zh": "铁路物流",
    "description_en": "",
    "description_zh": "",
    "classification": "general",
    "purposes": ["logistics_planning"],
    "jurisdictions": ["CN", "SG"],
}


@pytest.mark.parametrize(
    ("written", "kept"),
    [("Ｒail", "rail"), ("STRASSE", "strasse"), ("Straße", "strasse"), ("㎏", "kg"), ("É", "é")],
)
def test_what_people_take_for_alike_is_written_alike(written, kept):
    assert normalise(written) == kept


def test_words_are_what_blanks_part_each_once():
    assert words(" Rail\u3000物流  RAIL ") == ("rail", "物流")
    assert words("\u3000 ") == ()


def test_grams_are_characters_and_pairs_within_a_word():
    assert grams("物流 ab") == {"物", "流", "物流", "a", "b", "ab"}


def test_the_narrowest_grams_of_a_word_are_its_pairs_or_itself():
    assert narrowest("物流网") == ["物流", "流网"]
    assert narrowest("物") == ["物"]


@given(st.text(), st.integers(0, 50), st.integers(1, 9))
def test_a_word_of_a_text_has_all_its_grams_there(text, start, length):
    kept = normalise(text)
    for word in kept[start : start + length].split():
        assert set(narrowest(word)) <= grams(kept)


@given(st.text())
def test_what_is_normal_stays_as_it_is(text):
    once = normalise(text)
    assert normalise(once) == once


def test_an_older_document_lacks_what_came_later():
    found = index_of("org_1", "published", TERMS)
    assert found.text == "rail freight\n铁路物流\n\n"
    assert {"shown:*", "shown:org_1", "kind:dataset", "jurisdiction:SG"} <= set(found.facets)
    assert {"~物流", "~物", "~ra"} <= found.terms


@pytest.mark.parametrize(
    ("status", "audience", "shown"),
    [
        ("published", None, {"shown:*", "shown:org_1"}),
        ("published", ["org_2", "org_1"], {"shown:org_1", "shown:org_2"}),
        ("draft", None, {"shown:org_1"}),
        ("draft", ["org_2", "org_1"], {"shown:org_1"}),
        ("withdrawn", ["org_2"], {"shown:org_1"}),
    ],
)
def test_it_stands_under_whoever_may_find_it(status, audience, shown):
    found = index_of("org_1", status, TERMS | {"audience": audience})
    assert [f for f in found.facets if f.startswith("shown:")] == sorted(shown)
