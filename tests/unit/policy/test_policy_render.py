"""Every code of the Rego has words in both languages, with the parameters it is given."""

import json
import re
from typing import Any, get_args

import pytest
from babel.messages.pofile import read_po

from exchange.policy import load_bundle, model
from exchange.policy.render import LANGUAGES, label, render
from tests.support.opa import ROOT
from tests.support.policy_codes import REASON_PARAMS, REMEDY_PARAMS, SOURCES

CODES = REASON_PARAMS | REMEDY_PARAMS
CHINESE = re.compile("[\u4e00-\u9fff]")


def catalogue(lang: str) -> Any:
    path = ROOT / "exchange" / "locales" / lang / "LC_MESSAGES" / "decisions.po"
    with path.open("rb") as file:
        return read_po(file, locale=lang)


def test_every_code_of_the_source_was_found() -> None:
    written = {
        code for path in SOURCES for code in re.findall(r'"code":\s*"(\w+)"', path.read_text())
    }
    assert written == CODES.keys()
    assert len(REASON_PARAMS) >= 19
    assert len(REMEDY_PARAMS) == 5


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_code_has_a_text_with_its_parameters(lang: str) -> None:
    messages = {m.id: m.string for m in catalogue(lang) if m.id and m.context is None}
    assert messages.keys() == CODES.keys()
    for code, params in CODES.items():
        named = set(re.findall(r"%\((\w+)\)s", messages[code]))
        assert named == params, code
        assert "%" not in re.sub(r"%\(\w+\)s", "", messages[code])
        words = render(code, dict.fromkeys(params, 7), lang)
        assert words != code
        assert "%(" not in words
        assert bool(CHINESE.search(words)) == (lang == "zh")


def labelled() -> list[tuple[str, str]]:
    """Return every value of the input's closed lists that a text can name."""
    data = json.loads(load_bundle().data)
    offering = model.OfferingTerms.__annotations__
    return [
        *(("purpose", value) for value in data["purposes"]),
        *(("size", value) for value in get_args(model.Size)),
        *(("evidence", value) for value in get_args(model.Evidence)),
        *(("role", value) for value in get_args(model.Role)),
        *(("attribute", value) for value in model.Attributes.__annotations__),
        *(("kind", value) for value in get_args(offering["kind"])),
        *(("action", value) for actions in data["actions"].values() for value in actions),
        *(("status", value) for value in get_args(offering["status"])),
        *(("status", value) for value in get_args(model.Status)),
        *(("personal_information", v) for v in get_args(offering["personal_information"])),
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_name_has_a_label(lang: str) -> None:
    found = {(m.context, m.id): m.string for m in catalogue(lang) if m.id and m.context}
    assert found.keys() == set(labelled())
    for (kind, value), text in found.items():
        assert text.strip()
        assert label(kind, value, lang) == text
        assert bool(CHINESE.search(text)) == (lang == "zh")


def test_sentences() -> None:
    params = {"attribute": "headcount", "evidence": "self_declared", "level": "verified"}
    english = "Your headcount is only self-declared; verified is needed."
    assert render("evidence_too_low", params, "en") == english
    assert "从业人员数" in render("evidence_too_low", params, "zh")
    purposes = {"purposes": ["logistics_planning", "scientific_research"]}
    assert "logistics planning, scientific research" in render("choose_purpose", purposes, "en")
    assert "物流规划、科学研究" in render("choose_purpose", purposes, "zh-CN")
    days = {"days": 91, "max_days": 90}
    assert "91" in render("duration_too_long", days, "zh")


def test_nothing_is_hidden_and_nothing_breaks() -> None:
    assert render("not_a_code", {"a": 1}, "en") == "not_a_code"
    assert render("", {}, "en") == ""
    assert render("duration_too_long", {"days": 91}, "en") == "duration_too_long"
    assert render("self_request", {"surplus": 1}, "en").startswith("A platform")
    assert render("self_request", {}, "tlh") == render("self_request", {}, "en")
    hostile = "%(secret)s %s <b>"
    assert hostile in render("purpose_not_allowed", {"purpose": hostile}, "en")
    assert label("purpose", "unknown", "zh") == "unknown"
    # A purpose named like a reason's code is not that reason.
    assert label("purpose", "self_request", "en") == "self_request"
