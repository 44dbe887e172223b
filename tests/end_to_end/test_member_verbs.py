"""People join and leave by the command, as a reader of its help would do it."""

import json

import pytest

from tests.support.actors import join, operator
from tests.support.commands import environment, exchange
from tests.support.server import ExchangeServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("verbs") / "state") as running:
        yield running


@pytest.mark.sqlite
def test_invite_accept_list_set_remove(server, tmp_path):
    key = server.state / "keys" / "operator.json"
    platform = join(operator(server.state), "Harbour 港口", ["platform"])
    org = platform.profile.organisation_id

    def run(*arguments, who=key, code=0):
        env = environment(profile=who)
        done = exchange(*arguments, cwd=tmp_path, env=env)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    invite = ("member", "invite", "--organisation", org, "--name", "Anna 安娜")
    invited = run(*invite, "--role", "owner", "--role", "approver")
    secret = invited.stdout.strip()
    assert len(secret) == 43
    assert secret not in invited.stderr
    accept = ("member", "accept", secret, "--url", server.url, "--new-profile")
    joined = run(*accept, "mine/anna.json").stdout
    assert "approver, owner" in joined
    profile = json.loads((tmp_path / "mine/anna.json").read_text())
    assert profile["organisation_id"] == org
    assert profile["log_key"]
    again = run(*accept, "mine/thief.json", code=1)
    assert "invitation_unknown" in again.stderr
    assert not (tmp_path / "mine/thief.json").exists()

    anna = tmp_path / "mine/anna.json"
    told = json.loads(run("whoami", "--json", who=anna).stdout)
    assert told["member"]["roles"] == ["approver", "owner"]
    assert "approvals" in run("whoami", who=anna).stdout
    other = json.loads(
        run("member", "invite", "--name", "Bo", "--role", "developer", "--json", who=anna).stdout
    )["member"]["id"]
    assert "Anna 安娜" in run("member", "list", who=anna).stdout
    assert "publisher" in run("member", "set", other, "--role", "publisher", who=anna).stdout
    last = run("member", "remove", told["member"]["id"], who=anna, code=1)
    assert "last_owner" in last.stderr
    run("member", "remove", other, who=anna)
    listed = json.loads(run("member", "list", "--json", who=anna).stdout)
    assert [(m["name"], m["status"]) for m in listed] == [
        ("Anna 安娜", "active"),
        (None, "removed"),
    ]
