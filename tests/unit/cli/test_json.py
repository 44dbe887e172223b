"""--json: one document on stdout and nothing else, for an answer, a list and a refusal."""

import json
import subprocess
import sys
from dataclasses import replace

import httpx
import pytest
import typer
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.cli.output import NOT_TRIED, REFUSED, in_words, print_document, print_list
from exchange.client.errors import (
    NotAsPublished,
    NotProved,
    NotReachable,
    ProfileProblem,
    Undecided,
)
from exchange.client.profile import read_profile, update_profile
from exchange.client.session import Refusal
from tests.support.commands import COMMAND, environment, exchange
from tests.unit.cli.test_verbs import VERBS
from tests.unit.cli.test_verify import EVENT, LOG, receipt, verify

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


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (NotReachable("It does not answer."), NOT_TRIED, "not_reachable"),
        (httpx.ConnectError("refused"), NOT_TRIED, "not_reachable"),
        (ProfileProblem("No profile."), NOT_TRIED, "profile_problem"),
        (Undecided("Not in time."), NOT_TRIED, "undecided"),
        (FileNotFoundError(2, "No such file", "x.csv"), NOT_TRIED, "file_problem"),
        (NotAsPublished("Other bytes."), REFUSED, "not_as_published"),
        (NotProved("No proof."), REFUSED, "not_proved"),
    ],
)
def test_what_else_goes_wrong_is_told_to_people_and_printed_for_programs(capsys, error, code, kind):
    for as_json in (False, True):
        with pytest.raises(typer.Exit) as ended, in_words(as_json=as_json):
            raise error
        assert ended.value.exit_code == code
        said = capsys.readouterr()
        assert said.err
        if as_json:
            told = json.loads(said.out)
            assert told["error"] == kind
            assert told["detail"] in said.err
        else:
            assert said.out == ""


# They narrate and serve, on the machine of whoever runs the exchange, until they are stopped.
OF_THE_EXCHANGE = {("run",), ("demo",), ("serve",), ("init",)}


def test_every_verb_takes_json():
    without = {
        path
        for path, command in VERBS.items()
        if "--json" not in [option for each in command.params for option in each.opts]
    }
    assert without == OF_THE_EXCHANGE


def test_profiles_print_json(tmp_path):
    mine = tmp_path / "mine.json"

    def told(*words):
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        return done.exit_code, json.loads(done.stdout)

    code, made = told("profile", "new", mine)
    assert code == 0
    assert told("profile", "key", "-p", mine) == (0, made)
    code, again = told("profile", "new", mine)
    assert (code, again["error"]) == (2, "profile_problem")
    known = read_profile(mine)
    update_profile(mine, replace(known, client_id="cli_1", organisation_id="org_1"))
    code, signed = told("profile", "assertion", "-p", mine)
    assert code == 0
    assert signed["client_assertion"].count(".") == 2
    assert signed["client_assertion_type"].endswith("jwt-bearer")
    set_ = ("profile", "set", "--organisation", "org_1", "--client", "cli_1", "-p", mine)
    unused = replace(known, url="http://127.0.0.1:9", client_id="cli_1", organisation_id="org_1")
    update_profile(mine, unused)
    code, failed = told(*set_)
    assert (code, failed["error"]) == (2, "not_reachable")


def test_receipts_are_judged_in_json(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(receipt())
    bad.write_text("no receipt")
    done = verify(good, bad, "--json")
    assert done.exit_code == REFUSED
    [first, second] = json.loads(done.stdout)
    assert (first["file"], first["verified"], first["index"]) == (str(good), True, 4)
    assert (first["size"], first["log"]) == (6, LOG.name)
    assert first["event"] == EVENT
    assert (first["witnesses"], first["witnesses_known"]) == ([], 0)
    assert (second["file"], second["verified"]) == (str(bad), False)
    assert second["detail"]
    assert verify(good, "--json").exit_code == 0


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
