"""The README tells the truth: its snippets are run, in order, against a running exchange."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT, ExchangeServer
from tests.support.sources import name, pages


def snippets() -> dict[str, str]:
    text = (ROOT / "README.md").read_text("utf-8")
    return dict(re.findall(r"<!-- snippet: (\w+) -->\n```(?:sh|python)\n(.*?)```", text, re.DOTALL))


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A folder that looks as after `make run`: `.venv/bin/exchange`, `state/`."""
    folder = tmp_path_factory.mktemp("newcomer")
    command = folder / ".venv" / "bin" / "exchange"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m exchange.cli.main "$@"\n')
    command.chmod(0o755)
    with ExchangeServer(folder / "state") as server:
        yield folder, server


def run(script: str, folder: Path, server: ExchangeServer) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EXCHANGE_")}
    environment |= {
        "EXCHANGE_URL": server.url,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_there_are_snippets():
    assert set(snippets()) == {"cli", "python", "curl"}


def test_the_command_line_snippet(newcomer):
    said = run(snippets()["cli"], *newcomer)
    assert "version 1 published" in said
    assert "is not allowed for this offering" in said
    assert "choose_purpose" in said
    assert "请" in said  # the same refusal, in Chinese
    assert "granted until" in said
    assert "grant.activated.v1" in said
    assert "the whole log, until" in said
    assert "entries verified" in said
    assert re.search(r" log_entries +start 0", said)  # what the auditor read
    assert "1 of 1 receipts verified" in said
    assert re.search(r"^status +revoked$", said, re.MULTILINE)
    assert "403 grant_revoked" in said or "400 access_denied" in said
    assert "It is no longer offered. We sell the mill." in said
    assert "不再提供。 We sell the mill." in said
    for said_too in ("goes on until", "It would be: needs_approval", "waits for an approval"):
        assert said_too in said
    assert re.search(r"questioned .* Which bakery\?", said)
    assert said.count(" approved ") >= 2
    assert re.search(r"^status +withdrawn$", said, re.MULTILINE)
    downloaded = newcomer[0] / "mine" / "downloads" / "flour.csv"
    assert downloaded.read_text() == "day,kilograms\n2026-01-01,1200\n2026-01-02,1340\n"


def test_the_python_snippet(newcomer):
    folder, server = newcomer
    (folder / "story.py").write_text(snippets()["python"], "utf-8")
    said = run(f"'{sys.executable}' story.py", folder, server)
    assert "access_denied The purpose" in said
    assert "permit\n" in said
    assert "2026-01-02       1340" in said  # a pandas.DataFrame
    assert "Waiting(whose='provider'" in said
    assert "('questioned', 'Which bakery?'), ('answered', 'The one by the rivers.')" in said
    assert "pending_approval" in said  # a renewal of what people approve
    assert "PosixPath('mine/downloads/flour.csv')" in said
    assert "grant.activated.v1" in said
    assert len(list((folder / "mine" / "receipts").iterdir())) == 2


def test_the_curl_snippet(newcomer):
    said = run(snippets()["curl"], *newcomer)
    assert '"status":"ok"' in said
    assert '"token_endpoint"' in said
    assert '"token_type":"DPoP"' in said.replace(" ", "")
    assert "purpose_not_allowed" in said
    assert "2026-01-02,1340" in said  # whole
    assert '"status":"approved"' in said
    assert '"kind":"questioned"' in said
    assert '"status":"withdrawn"' in said
    assert said.count("day,kilograms") == 3  # whole, as a range, and after a withdrawal
    assert '"type":"exchange.grant.activated.v1"' in said.replace(" ", "")
    assert "1 of 1 receipts verified" in said


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_document_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", (ROOT / "README.md").read_text("utf-8")))
    assert linked == {name(page) for page in pages() if page.parent.name == "docs"}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_make_target_that_pages_name_exists(page):
    makefile = (ROOT / "Makefile").read_text()
    told = re.findall(r"(?:^|^ {4}|`)make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
    for target in told:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
