"""Every text of the sample path has its Chinese one, with the same holes and the same marks."""

import ast
import re

import pytest
from babel.messages.pofile import read_po

from exchange.cli.words import ENGLISH, Steps, Words
from tests.support.sources import ROOT, name, python, tree

CATALOGUE = ROOT / "exchange" / "locales" / "zh" / "LC_MESSAGES" / "command.po"
CHINESE = re.compile("[\u4e00-\u9fff]")
ITSELF = "exchange/cli/words.py"  # it passes on what it is given


def is_said(call: ast.Call) -> bool:
    """Whether a call says its texts: say(…), say.line(…), step(…), and self.say(…)."""
    match call.func:
        case ast.Name("say" | "step") | ast.Attribute(attr="say"):
            return True
        case ast.Attribute(ast.Name("say"), "line"):
            return True
    return False


def texts() -> set[str]:
    """All that the command says by its words."""
    found = set()
    for path in python("exchange/cli/"):
        for call in ast.walk(tree(path)):
            if isinstance(call, ast.Call) and is_said(call):
                for text in call.args:
                    is_text = isinstance(text, ast.Constant)
                    assert is_text or name(path) == ITSELF, f"{name(path)}:{text.lineno}"
                    found |= {text.value} if is_text else set()
    return found


def chinese() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="zh") if m.id}


def test_both_languages_have_the_same_texts():
    assert len(texts()) > 70
    assert chinese().keys() == texts()


@pytest.mark.parametrize("text", sorted(texts()))
def test_a_text_and_its_chinese_one_differ_in_words_only(text):
    translated = chinese()[text]
    for what in (r"%\((\w+)\)s", r"\[/?\w*\]", r"`[^`]*`", "[✓→]"):
        assert sorted(re.findall(what, translated)) == sorted(re.findall(what, text))
    assert "%" not in re.sub(r"%\(\w+\)s", "", text + translated)
    words = re.sub(r"%\(\w+\)s|\[.*?\]|[\W\d_]", "", text)
    assert bool(CHINESE.search(translated)) == bool(words)
    assert not re.search("[\u4e00-\u9fff][,;:?!.]", translated)


def test_what_is_told_is_text_and_no_markup(capsys):
    for say in (ENGLISH, Words("zh")):
        say.line("%(offering)s is withdrawn", offering="[red]x[/]\x1b[2J")
    assert capsys.readouterr().out == (
        "  [red]x[/]\\u001b[2J is withdrawn\n  [red]x[/]\\u001b[2J 已撤回\n"
    )


def test_steps_are_numbered_in_either_language(capsys):
    for lang in ("en", "zh"):
        step = Steps(Words(lang))
        step("The SME", "asks for access, for the purpose %(purpose)s.", purpose="marketing")
        step("The SME", "downloads under the grant.")
    assert [line for line in capsys.readouterr().out.splitlines() if line] == [
        "1. The SME asks for access, for the purpose marketing.",
        "2. The SME downloads under the grant.",
        "1. 中小企业提出访问申请，用途为 marketing。",
        "2. 中小企业依据授权下载数据。",
    ]
