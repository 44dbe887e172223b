"""What is printed: whole ids, refusals with what would help, and nothing that a terminal obeys."""

import json
import os
import subprocess
import sys

import httpx
import pytest
import typer
from rich.cells import cell_len

from exchange.cli.output import (
    NOT_TRIED,
    REFUSED,
    NotAsPublished,
    in_words,
    plain,
    print_json,
    print_refusal,
    print_table,
    session,
    visible,
)
from exchange.client.errors import ProfileProblem
from exchange.client.session import NotAnExchange, Refusal
from tests.support.server import ROOT

ID = "grt_k3x9_01j9zq4x5ve8wk2n7c6r3tq0ab"


def test_a_table_shows_every_cell_whole(capsys):
    rows = [(ID, "蓝磨食品", "a" * 300), ("off_1", "x", ""), (7, "[red]no markup[/]", "end")]
    print_table(("id", "名称", "why"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["id", ID, "off_1", "7"]
    assert lines[1].endswith("  " + "a" * 300)
    assert "[red]no markup[/]" in lines[3]
    starts = [
        cell_len(line[: line.index(what)])
        for line, what in zip(lines, ("名称", "蓝磨", "x", "[red]"), strict=True)
    ]
    assert len(set(starts)) == 1  # columns stand under each other, wide characters too
    assert not [line for line in lines if line != line.rstrip()]


def test_an_empty_table_says_so(capsys):
    print_table(("id",), [])
    assert capsys.readouterr().out == "none\n"


HOSTILE = "a\x1b[2Jb\x9bc\u202ed\u2028e\rf\x00g\nh"


def test_nothing_that_a_terminal_obeys_is_printed(capsys):
    print_table(("id", "name"), [("x", HOSTILE)])
    print_refusal(Refusal(403, {"type": "urn:x:" + HOSTILE, "detail": HOSTILE, "hint": HOSTILE}))
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert text.replace("\n", "").isprintable()
    assert len(said.out.splitlines()) == 2  # no row can be forged
    assert len(said.err.splitlines()) == 3
    assert plain("[bold]x[/]") == r"\[bold]x\[/]"


def test_json_stays_the_same_json(capsys):
    document = {"name": HOSTILE, "名称": "蓝磨"}
    print_json(document)
    printed = capsys.readouterr().out
    assert json.loads(printed) == document
    assert "蓝磨" in printed
    assert printed.replace("\n", "").isprintable()
    assert visible("蓝磨 ✓\n") == "蓝磨 ✓\n"


def test_a_refusal_by_policy_shows_reasons_and_remedies(capsys):
    request = {
        "reasons": [{"code": "purpose_not_allowed", "text": "Not for this."}],
        "remedies": [{"code": "choose_purpose", "text": "Choose [another]."}],
    }
    document = {"type": "urn:exchange:problem:access_denied", "access_request": request}
    print_refusal(Refusal(403, document))
    assert capsys.readouterr().err.splitlines() == [
        "403 access_denied",
        "  ✗ Not for this.  purpose_not_allowed",
        "  → Choose [another].  choose_purpose",
    ]


def test_a_refusal_shows_its_hint_and_for_a_fault_its_request(capsys):
    document = {"type": "urn:x:busy", "detail": "Not now.", "hint": "Wait.", "request_id": "abc"}
    print_refusal(Refusal(503, document))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["503 busy", "  Not now.", "  → Wait.", "  request abc"]
    print_refusal(Refusal(400, {"error": "invalid_scope", "error_description": "No such."}))
    assert capsys.readouterr().err.splitlines() == ["400 invalid_scope", "  No such."]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Refusal(404, {"type": "urn:x:gone", "detail": "Gone."}), REFUSED, "404 gone\n  Gone.\n"),
        (NotAsPublished("other bytes"), REFUSED, "other bytes\n"),
        (ProfileProblem("no profile"), NOT_TRIED, "no profile\n"),
        (NotAnExchange("a shop"), NOT_TRIED, "a shop\n"),
        (
            httpx.ConnectError("x", request=httpx.Request("GET", "http://u:p@h:1/a?token=s")),
            NOT_TRIED,
            "http://h:1 does not answer (ConnectError). Is it running? `make run` starts one",
        ),
        (httpx.InvalidURL("x"), NOT_TRIED, "The profile's url cannot be asked (InvalidURL)."),
        (OSError(28, "No space left", "/x/y"), NOT_TRIED, "/x/y: No space left.\n"),
        (OSError("odd"), NOT_TRIED, "odd.\n"),
    ],
)
def test_whatever_goes_wrong_has_words_and_an_exit_code(error, code, said, capsys):
    with pytest.raises(typer.Exit) as ended, in_words():
        raise error
    assert ended.value.exit_code == code
    printed = capsys.readouterr()
    assert printed.err.replace(" \n", "\n").startswith(said)
    assert printed.out == ""


def test_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError), in_words():
        raise ZeroDivisionError


def test_a_missing_profile_ends_a_verb_with_2(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended, session(tmp_path / "none.json"):
        raise AssertionError("it must not get here")
    assert ended.value.exit_code == NOT_TRIED
    assert "There is no profile" in capsys.readouterr().err


def test_a_terminal_without_chinese_ends_no_verb():
    script = "from exchange.cli.output import out; out.print('✗ 不允许 x')"
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done
    assert done.stdout == "? ??? x\n"
