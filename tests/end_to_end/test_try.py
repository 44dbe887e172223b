"""A developer's first hour: an organisation that was registered a moment ago tries a sandbox."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from exchange.cli.main import app
from exchange.client import Exchange
from tests.support.actors import SANDBOX_TERMS, join, operator, publish, publish_service
from tests.support.commands import environment
from tests.support.server import ExchangeServer
from tests.support.upstream import Upstream

CONTENT = b"day,kilograms\n2026-01-01,1200\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("try") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def platform(server):
    return join(operator(server.state), "Platform", ["platform"])


@pytest.fixture(scope="module")
def offering(platform):
    publish(platform, CONTENT, file_name="usual.csv")
    return publish(platform, CONTENT, file_name="flour.csv", title_en="Try", **SANDBOX_TERMS)


@pytest.fixture
def run(server, tmp_path, monkeypatch):
    """The command of a newcomer of which the exchange knows a name and no more."""
    monkeypatch.chdir(tmp_path)
    by = str(server.state / "keys" / "operator.json")
    names = ("--name-en", "New", "--name-zh", "新", "--role", "auditor")

    def command(*words, code=0, **env):
        done = CliRunner().invoke(app, [*map(str, words)], env=environment(**env))
        assert done.exit_code == code, done.output + done.stderr
        return done.stdout if code == 0 else done.stderr

    command("org", "add", *names, "--new-profile", "profile.json", "--profile", by)
    return command


def told_next(said):
    """The command that was told to type next."""
    return shlex.split(said.splitlines()[-1].removeprefix("→ "))


def test_a_newcomer_finds_it_tries_it_and_fetches_by_the_command_told(run, offering, tmp_path):
    found = run("offering", "search", "--sandbox")
    ids = {line.split()[0] for line in found.splitlines()[1:]}
    every = json.loads(run("offering", "list", "--json"))
    assert offering["id"] in ids
    assert ids == {each["id"] for each in every if each["sandbox"]}
    assert len(ids) < len(every)
    assert found.count("(sandbox 沙箱)") == len(ids)
    shown = run("offering", "show", offering["id"])
    assert "anyone registered may try it at once · 沙箱：任何已注册的机构均可立即试用" in shown
    assert json.loads(run("offering", "show", offering["id"], "--json"))["sandbox"] is True
    said = run("try", offering["id"])
    assert "granted until" in said
    assert "sessions  0     3   3" in said
    words = told_next(said)
    assert words[:3] == ["exchange", "grant", "download"]
    assert list(tmp_path.iterdir()) == [tmp_path / "profile.json"]
    run(*words[1:])
    assert (tmp_path / "flour.csv").read_bytes() == CONTENT
    again = json.loads(run("try", offering["id"], "--json"))
    assert again["grant"]["id"] == words[3]
    assert again["next"] == shlex.join(words)
    assert (again["purpose"], again["days"], again["files"]) == ("trial", 7, [])
    assert again["usage"]["sessions"] == 1


def test_it_fetches_the_first_file_where_it_is_asked_to(run, offering, tmp_path):
    (tmp_path / "profile.json").rename(tmp_path / "new one.json")
    who = ("--profile", "new one.json")
    said = run("try", offering["id"], "--fetch", *who)
    assert f"flour.csv: {len(CONTENT)} bytes, sha256 {offering['objects'][0]['sha256']} ✓" in said
    assert (tmp_path / "flour.csv").read_bytes() == CONTENT
    words = told_next(said)
    assert words[:3] == ["exchange", "grant", "usage"]
    assert words[-2:] == ["--profile", "new one.json"]
    assert "1 uses" in run(*words[1:])
    told = json.loads(run("try", offering["id"], "--fetch", "--json", *who))
    assert told["files"][0]["path"] == "flour.csv"
    assert "--profile" not in run("try", offering["id"], profile="new one.json")


def test_what_is_no_sandbox_is_not_asked_for(run, platform, offering):
    usual = publish(platform, CONTENT, file_name="usual.csv")
    said = run("try", usual["id"], code=2)
    assert f"{usual['id']} is no sandbox" in said
    assert json.loads(run("requests", "list", "--json")) == []
    assert run("try", "off_" + "0" * 26, code=1).startswith("404 offering_unknown")


def test_a_hold_stops_a_try_and_says_so_in_both_languages(run, platform):
    made = publish(platform, CONTENT, file_name="held.csv", title_en="Held", **SANDBOX_TERMS)
    words = told_next(run("try", made["id"]))
    hold = platform.post("/v1/holds", {"target": made["id"], "reason": "under_investigation"})
    said = run("try", made["id"])
    assert f"{words[3]} is suspended: nothing is delivered under it" in said
    assert "→ exchange grant download" not in said
    assert hold["reason_text"] in said
    assert "正在调查。" in run("try", made["id"], "--lang", "zh")
    run(*words[1:], code=1)
    platform.post(f"/v1/holds/{hold['id']}/lift", {})
    run(*words[1:])


def test_a_service_is_called_by_the_command_told_until_the_try_is_used_up(run, platform):
    limits = {"calls": 2, "paths": ["POST /query", "GET /stats/delays"]}
    terms = SANDBOX_TERMS | {"max_sessions": None, "limits": limits}
    with Upstream() as service:
        made = publish_service(platform, service.url, "GET /stats/*", "POST /query", **terms)
        assert "has no files to bring" in run("try", made["id"], "--fetch", code=2)
        said = run("try", made["id"])
        assert "allows GET /stats/delays" in said
        words = told_next(said)
        assert words[:3] == ["exchange", "grant", "call"]
        assert words[4:] == ["query", "--method", "POST"]
        run(*words[1:])
        run(*words[1:4], "stats/delays")
        assert [came.target for came in service.came] == ["/query", "/stats/delays"]
        assert f"exchange grant renew {words[3]}" in run(*words[1:], code=1)
        renewal = told_next(run("try", made["id"]))
        assert renewal[:6] == ["exchange", "grant", "renew", words[3], "--days", "7"]
        run(*renewal[1:])
        assert "A new allowance begins at" in run(*words[1:], code=1)
        assert told_next(run("try", made["id"])) == ["exchange", "grant", "usage", words[3]]
        assert len(service.came) == 2


def test_a_program_tries_it(server, offering):
    newcomer = join(operator(server.state), "New", ["platform"])
    with Exchange(newcomer.profile) as me:
        [found] = me.search("Try", sandbox=True)
        assert (found.id, found.sandbox) == (offering["id"], True)
        grant = me.try_out(found).grant
        assert grant.purpose == "trial"
        assert me.read(grant, "flour.csv").to_dict("list")["kilograms"] == [1200]


def test_the_usual_offering_is_refused_to_a_newcomer_with_reasons(run, platform):
    made = publish(platform, CONTENT, file_name="usual.csv", purposes=["trial"])
    said = run("request", made["id"], "--purpose", "trial", "--days", 7, code=1)
    for code in ("consumer_role_missing", "jurisdiction_unknown", "size_unknown"):
        assert code in said
