"""A program is invited, registers, is approved and gets a new key, by the command alone."""

import json
import time

import httpx
import pytest

from exchange.formats.tokens import make_client_assertion
from exchange.oauth.assertion import TYPE
from exchange.oauth.jwt_bearer import GRANT_TYPE as JWT_BEARER
from tests.support.actors import join, operator
from tests.support.commands import environment, exchange
from tests.support.cutting import CuttingLine
from tests.support.server import ExchangeServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("clients") / "state") as running:
        yield running


@pytest.fixture
def run(server, tmp_path):
    """Run a verb, as the operator unless another profile is named."""

    def run(*arguments, who=server.state / "keys" / "operator.json", code=0, stdin=None):
        env = environment(profile=who)
        done = exchange(*arguments, cwd=tmp_path, env=env, stdin=stdin)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return run


@pytest.fixture
def org(server):
    sme = join(operator(server.state), "Small 小", ["sme"])
    return sme.profile.organisation_id


@pytest.mark.sqlite
def test_invite_register_approve_rotate(server, run, org, tmp_path):
    invited = run("client", "invite", "--organisation", org, "--days", 2)
    token = invited.stdout.strip()
    assert token.startswith("dsi_")
    assert token not in invited.stderr
    register = ("client", "register", "-", "--url", server.url, "--name", "nightly", "--bearer")
    none = run(*register, "--new-profile", "mine/none.json", stdin="\n", code=2)
    assert "client invite" in none.stderr
    assert not (tmp_path / "mine/none.json").exists()
    made = run(*register, "--new-profile", "mine/p.json", stdin=token + "\n")
    assert "once the operator approves" in made.stdout
    again = run(*register, "--new-profile", "mine/thief.json", stdin=token + "\n", code=1)
    assert "invalid_token" in again.stderr
    assert not (tmp_path / "mine/thief.json").exists()
    mine = tmp_path / "mine/p.json"
    assert "invalid_client" in run("whoami", who=mine, code=1).stderr
    [waiting] = json.loads(run("client", "list", "--status", "pending", "--json").stdout)
    assert waiting["name"] == "nightly"
    assert "active" in run("client", "approve", waiting["id"]).stdout
    assert waiting["id"] in run("whoami", who=mine).stdout

    before = json.loads(mine.read_text())["key"]
    told = json.loads(run("client", "rotate-key", "--json", who=mine).stdout)
    after = json.loads(mine.read_text())["key"]
    assert (told["old"], told["new"]) == (before["kid"], after["kid"])
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["p.json"]
    shown = json.loads(run("client", "show", waiting["id"], "--json", who=mine).stdout)
    assert shown["key_thumbprints"] == [told["new"]]
    run("client", "rotate-key", "--keep-old", who=mine)
    shown = json.loads(run("client", "show", waiting["id"], "--json", who=mine).stdout)
    assert len(shown["key_thumbprints"]) == 2
    assert "removed" not in run("client", "remove-key", waiting["id"], told["new"], who=mine).stdout
    last = run("client", "remove-key", waiting["id"], shown["key_thumbprints"][1], code=1)
    assert "last_key" in last.stderr
    (tmp_path / "fresh.json").write_text(run("profile", "key", who=mine).stdout)
    run("client", "add-key", waiting["id"], "--jwks", "fresh.json")  # it is there: no change


@pytest.mark.sqlite
def test_a_key_is_changed_although_it_was_cut_off_before(server, run, org, tmp_path):
    """Its new key stood on disk already, added or not: the same one is gone on with."""
    sme = join(operator(server.state), "Cut", ["sme"])
    mine = tmp_path / "p.json"
    profile = sme.profile
    document = {name: getattr(profile, name) for name in ("url", "client_id", "organisation_id")}
    mine.write_text(json.dumps(document | {"key": profile.key}))
    waiting = tmp_path / "p.json.next"
    run("profile", "new", "other.json")
    key = json.loads((tmp_path / "other.json").read_text())["key"]
    waiting.write_text(json.dumps(document | {"key": key}))
    told = json.loads(run("client", "rotate-key", "--json", who=mine).stdout)
    assert told["new"] == key["kid"]
    assert not waiting.exists()
    waiting.write_text(json.dumps(document | {"key": key, "client_id": "cli_" + "0" * 26}))
    refused = run("client", "rotate-key", who=mine, code=2)
    assert "another client" in refused.stderr


@pytest.mark.sqlite
def test_withdraw_reject_and_secrets(server, run, org):
    run("client", "invite", "--organisation", org)
    [listed] = json.loads(run("client", "invitations", "--organisation", org, "--json").stdout)
    assert listed["status"] == "open"
    assert "withdrawn" in run("client", "withdraw", listed["id"]).stdout
    add = ("client", "add", "legacy", "--secret", "basic", "--bearer", "--organisation", org)
    made = json.loads(run(*add, "--json").stdout)
    assert made["client_secret"].startswith("dsx_")
    replaced = run("client", "secret", made["id"])
    assert replaced.stdout.startswith("dsx_")
    assert replaced.stdout.strip() != made["client_secret"]
    assert made["id"] in replaced.stderr
    assert "disabled" in run("client", "disable", made["id"]).stdout
    refused = run("client", "reject", made["id"], code=1)
    assert "client_not_pending" in refused.stderr


@pytest.mark.sqlite
def test_registered_for_the_jwt_bearer_grant(server, run, org, tmp_path):
    """By the operator: its one JWT is the request, and its key lets it give the token up."""
    run("profile", "new", "theirs.json", "--url", server.url)
    (tmp_path / "theirs.jwks").write_text(run("profile", "key", who="theirs.json").stdout)
    add = ("client", "add", "sharing", "--jwt-bearer", "--bearer", "--organisation", org, "--json")
    assert "--jwks" in run(*add, "--secret", "basic", code=2).stderr
    made = json.loads(run(*add, "--jwks", "theirs.jwks").stdout)
    assert made["token_endpoint_auth_method"] == "jwt_bearer"
    key = json.loads((tmp_path / "theirs.json").read_text())["key"]

    def post(path, **form):
        return httpx.post(f"{server.url}/oauth/{path}", data=form)

    def signed():
        return make_client_assertion(key, made["id"], server.url, time.time())

    answer = post("token", grant_type=JWT_BEARER, assertion=signed())
    assert answer.status_code == 200, answer.text
    proof = {"client_assertion_type": TYPE, "client_assertion": signed()}
    assert post("revoke", token=answer.json()["access_token"], **proof).status_code == 200


@pytest.mark.sqlite
def test_the_answer_to_a_registration_is_lost(server, run, org, tmp_path):
    """The exchange has registered the key: it is kept, and what is said leads to a good profile."""
    token = run("client", "invite", "--organisation", org, "--approved").stdout
    register = ("client", "register", "-", "--new-profile", "p.json", "--json", "--url")
    unasked = run(*register, "http://127.0.0.1:9", stdin=token, code=2)
    assert "kept" not in unasked.stderr
    assert not (tmp_path / "p.json").exists()  # nothing was sent

    line = CuttingLine()
    line.leads_to, line.loses = server.port, [b"POST /oauth/register"]
    lost = run(*register, line.url, stdin=token, code=2)
    line.close()
    assert json.loads(lost.stdout)["error"] == "not_reachable"
    assert "p.json was kept" in lost.stderr
    assert "exchange client invitations" in lost.stderr
    kept = json.loads((tmp_path / "p.json").read_text())
    (tmp_path / "p.json").write_text(json.dumps(kept | {"url": server.url}))  # not the cut line

    listed = json.loads(run("client", "invitations", "--organisation", org, "--json").stdout)
    [client] = [each["client_id"] for each in listed if each["status"] == "used"]
    run("profile", "set", "--organisation", org, "--client", client, who="p.json")
    assert client in run("whoami", who="p.json").stdout
