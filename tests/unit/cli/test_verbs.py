"""Every verb explains itself, starts quickly, and ends wrong usage with 2."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from exchange.cli.main import app
from tests.support.commands import environment, exchange
from tests.support.sources import name, pages

ROOT = Path(__file__).parents[3]
HEAVY = (
    "babel",
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlalchemy",
    "pydantic_settings",
    "pyarrow",
    "wasmtime",
)


def leaves(command, path=()):
    if not getattr(command, "commands", None):
        yield path, command
        return
    for word, each in command.commands.items():
        yield from leaves(each, (*path, word))


VERBS = dict(leaves(typer.main.get_command(app)))


def test_the_readmes_table_names_verbs_that_there_are():
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.partition("## Who does what")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    named = [words for row in rows for words in re.findall("`([^`]+)`", row.split("|")[3])]
    assert len(named) >= 40
    for words in named:
        path = tuple(word for word in words.split() if not word.startswith("--"))
        assert any(path[: len(verb)] == verb for verb in VERBS), words
    groups = {verb[0] for verb in VERBS} - {"run", "demo", "serve", "init", "profile", "whoami"}
    assert groups - {"webhook"} <= {words.split()[0] for words in named}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_verb_that_a_page_names_is_there(page):
    told = page.read_text("utf-8")
    named = re.findall(r"(?:`|\$\(|^) *exchange\s+([a-z][a-z-]*)(?:\s+([a-z][a-z-]*))?", told, re.M)
    known = {verb[: len(words)] for verb in VERBS for words in (verb[:1], verb)}
    for words in named:
        assert words[:1] in known, words
        if words[:1] not in VERBS and words[1]:
            assert words in known, words


def test_these_are_the_verbs():
    assert len(VERBS) >= 28
    assert {("run",), ("verify",), ("profile", "set"), ("grant", "download")} <= set(VERBS)


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_a_verb_explains_itself_and_all_that_it_takes(path):
    command = VERBS[path]
    assert command.help
    for parameter in command.params:
        shown = getattr(parameter, "help", None) or parameter.metavar
        assert shown, f"{' '.join(path)}: {parameter.name} is not explained"
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0, done.output
    assert command.help.split()[0] in done.output


def test_help_lists_verbs_in_the_order_of_a_newcomers_path():
    said = CliRunner().invoke(app, ["--help"]).output
    places = [said.index(f" {title} ") for title in ("Run", "Take part", "Share", "Audit")]
    assert places == sorted(places)
    assert "Exit codes: 0 done, 1 refused, 2 could not be tried." in said


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["nothing"],
        ["request"],
        ["request", "off_1"],
        ["request", "off_1", "--purpose", "x", "--days", "0"],
        ["request", "off_1", "--purpose", "x", "--lang", "fr"],
        ["grant", "revoke", "grt_1", "--reason", "whim"],
        ["offering", "publish", "--terms", "none.json"],
        ["profile", "new", "x.json", "--url", "ftp://x"],
        ["org", "add", "--name-en", "x", "--name-zh", "x", "--role", "sme"],
    ],
)
def test_wrong_usage_ends_with_2(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, wrong)
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert list(tmp_path.iterdir()) == []


def test_a_verb_without_a_profile_ends_with_2_in_words(tmp_path):
    done = exchange("grant", "list", cwd=tmp_path, env=environment())
    assert done.returncode == 2
    assert done.stderr.startswith("There is no profile profile.json. `exchange profile new")
    assert done.stdout == ""


def test_verbs_do_not_wait_for_what_serving_needs():
    """Measured in modules, as seconds depend on the machine."""
    script = "import sys, exchange.cli.main; print(*sys.modules)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
    assert "exchange.parts" not in done.stdout.split()
    assert "exchange.settings" not in done.stdout.split()


def test_its_version(tmp_path):
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == "exchange 0.1.0\n"
