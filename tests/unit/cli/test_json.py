"""--json: one document on stdout and nothing else, for an answer, a list and a refusal."""

import json
import subprocess
import sys

import pytest
import typer

from exchange.cli.output import REFUSED, in_words, print_document, print_list
from exchange.client.session import Refusal
from tests.support.commands import COMMAND, environment, exchange
from tests.unit.cli.test_verbs import VERBS

ITEMS = [{"id": "off_1", "title": "蓝磨"}, {"id": "off_2", "title": "x\x1b[2J"}]


def titles(item):
    return (item["id"], item["title"])


def test_a_list_is_a_table_or_an_array(capsys):
    print_list(iter(ITEMS), ("id", "title"), titles, as_json=False)
    assert capsys.readouterr().out.splitlines()[0].split() == ["id", "title"]
    print_list(iter(ITEMS), ("id", "title"), titles, as_json=True)
    assert json.loads(capsys.readouterr().out) == ITEMS
    print_list([], ("id", "title"), titles, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_a_thing_is_a_line_a_member_or_an_object(capsys):
    thing = {"id": "grt_1", "rev": 3, "open": False, "roles": ["a", "b"], "end": None, "m": {}}
    print_document(thing, as_json=False)
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["id", "grt_1"], ["rev", "3"], ["open", "false"], ["roles", "a, b"]]
    print_document(thing, as_json=True)
    assert json.loads(capsys.readouterr().out) == thing


def test_a_refusal_is_told_to_people_and_printed_for_programs(capsys):
    problem = {"type": "urn:exchange:problem:gone", "detail": "Gone.", "status": 404}
    with pytest.raises(typer.Exit) as ended, in_words(as_json=True):
        raise Refusal(404, problem)
    assert ended.value.exit_code == REFUSED
    said = capsys.readouterr()
    assert json.loads(said.out) == problem
    assert said.err == "404 gone\n  Gone.\n"


def test_every_verb_that_lists_or_shows_takes_json():
    without = {
        path
        for path, command in VERBS.items()
        if path[-1] in ("list", "show", "steps", "requests", "inbox")
        and "as_json" not in [parameter.name for parameter in command.params]
    }
    assert without == set()


@pytest.mark.parametrize(
    ("typed", "offered"), [("off", "offering"), ("grant re", "revoke"), ("log list --js", "--json")]
)
def test_a_shell_completes_verbs_and_options(typed, offered, tmp_path):
    words = ["exchange", *typed.split()]
    env = environment() | {
        "_EXCHANGE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    script = f"import sys; sys.argv[0] = 'exchange'; from {COMMAND[-1]} import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert offered in done.stdout.split(), done


def test_the_completion_script_can_be_shown_and_installed(tmp_path):
    said = exchange("--help", cwd=tmp_path).stdout
    assert "--install-completion" in said
    assert "--show-completion" in said
