"""What the catalog is searched by: every substring of a text has its grams among the text's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.catalog.index import (
    GRAM,
    TAIL,
    grams,
    has_list,
    index_of,
    lists_of,
    normalise,
    ranges_of,
    words,
)

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


def test_grams_are_what_stands_at_each_place_of_a_word():
    assert grams("物流 ab") == {"物", "流", "物流", "a", "b", "ab"}
    assert grams("rails") - {*"rails"} == {"ra", "ai", "il", "ls", "rai", "ail", "ils"} | {
        "rails",
        "ails",
    }
    assert grams("5g物流网") - {*"5g物流网"} == {"5g", "g物", "物流", "流网"} | {
        "5g物流网",
        "g物流网",
        "物流网",
    }
    assert max(map(len, grams("铁路" * 20))) == TAIL


@pytest.mark.parametrize(
    ("word", "lists"),
    [
        ("物流网", ["物流", "流网"]),
        ("rails", ["rai", "ail", "ils", "ls"]),
        ("5g网络", ["5g", "g网", "网络"]),
        ("物流物流", ["物流", "流物"]),
    ],
)
def test_a_longer_word_is_in_the_lists_of_its_parts(word, lists):
    assert not has_list(word)
    assert lists_of(word) == lists
    assert all(has_list(each) for each in lists)


texts = st.text() | st.text("物流 ra\U0010ffff\ud7ff", max_size=40)


@given(texts, texts, st.integers(0, 50), st.integers(1, 30))
def test_whatever_contains_a_word_is_where_it_is_looked_for_and_nothing_else(
    text, other, start, length
):
    kept, also = normalise(text), normalise(other)
    for word in kept[start : start + length].split():
        for each, contains in ((kept, True), (also, word in also)):
            stands = {GRAM + gram for gram in grams(each)}
            if has_list(word):
                assert (GRAM + word in stands) == contains
                continue
            within = [any(a <= term < b for term in stands) for a, b in ranges_of(word)]
            if contains or len(word) <= TAIL:
                assert all(within) == contains
            if contains:
                assert {GRAM + gram for gram in lists_of(word)} <= stands


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
