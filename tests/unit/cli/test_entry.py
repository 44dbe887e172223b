"""The installed command where its extra is not."""

import subprocess
import sys
import tomllib
from importlib import import_module

import pytest

from tests.support.commands import environment
from tests.support.server import ROOT


def script() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["scripts"]["exchange"]


def run_without(missing: str, *words: str) -> subprocess.CompletedProcess:
    module, _, name = script().partition(":")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing.split()!r}))\n"
        f"from {module} import {name}\n{name}()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *words], env=environment(), capture_output=True, text=True
    )


@pytest.mark.parametrize("missing", ["typer", "rich", "typer rich"])
def test_without_its_extra_the_command_says_what_to_install(missing):
    done = run_without(missing, "--version")
    assert done.returncode == 2
    assert done.stderr.endswith("pip install 'data-sharing-exchange[cli]'\n")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_what_else_is_missing_is_no_matter_of_the_extra():
    done = run_without("httpx", "--version")
    assert done.returncode == 1
    assert "httpx" in done.stderr.splitlines()[-1]
    assert "pip install" not in done.stderr


def test_with_it_all_three_ways_are_one_command():
    module, _, name = script().partition(":")
    assert callable(getattr(import_module(module), name))
    assert run_without("", "--version").stdout.startswith("exchange ")
    for each in ("exchange.cli", "exchange.cli.main"):
        command = [sys.executable, "-m", each, "--version"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert done.stdout.startswith("exchange "), done.stderr
