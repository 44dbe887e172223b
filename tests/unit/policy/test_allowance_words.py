"""What the gateway says of allowances, in both languages alike."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import exchange.locales
from exchange.access.allowance_words import said, worded

FOLDER = Path(exchange.locales.__file__).parent


def texts(lang: str) -> dict[str, str]:
    with (FOLDER / lang / "LC_MESSAGES" / "uses.po").open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file, locale=lang) if each.id}


def test_both_languages_say_the_same_with_the_same_parameters():
    english, chinese = texts("en"), texts("zh")
    assert english.keys() == chinese.keys()
    for code, text in english.items():
        assert set(re.findall(r"%\((\w+)\)s", text)) == set(
            re.findall(r"%\((\w+)\)s", chinese[code])
        ), code


@pytest.mark.parametrize(
    ("params", "told"),
    [({"seconds": 9}, "Try again in 9 s."), ({"seconds": 9, "at": "T"}, "begins at T")],
)
def test_a_remedy_that_names_a_moment_says_it(params, told):
    [remedy] = worded([{"code": "wait", "params": params}], "en")
    assert told in remedy["text"]


def test_what_has_no_words_is_shown_as_its_code():
    assert said("dance", {}, "zh") is None
    assert said("calls_exhausted", {}, "zh") is None  # a parameter is missing
    assert worded([{"code": "dance", "params": {}}], "en")[0]["text"] == "dance"
