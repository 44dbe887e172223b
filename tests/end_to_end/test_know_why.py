"""A refused or revoked SME is told who, when and why: by the API, the command and the client."""

import json
from dataclasses import asdict

import pytest

from exchange.client import Exchange, Refused
from exchange.client.session import Session
from tests.support.actors import SME_ATTRIBUTES, ask, join, member, operator, publish
from tests.support.commands import exchange
from tests.support.server import ExchangeServer

WORDS = "Resold to others. 转售给他人。"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("know_why") / "state") as running:
        yield running


@pytest.fixture
def world(server, tmp_path):
    """A platform, an approver of its, an SME, and the SME's command."""
    by = operator(server.state)
    platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
    sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
    lin = member(by, platform, "lin", ["approver"])
    for name, session in (("profile", sme), ("lin", lin), ("platform", platform)):
        profile = asdict(session.profile) | {"log_key": by.http.get("/log/key").text}
        (tmp_path / f"{name}.json").write_text(json.dumps(profile))
    return platform, sme, lin, lambda *words: exchange(*words, cwd=tmp_path)


@pytest.fixture
def revoked(world):
    platform, sme, _, _ = world
    answer = ask(sme, publish(platform))
    body = {"reason": "terms_breached", "text": WORDS}
    platform.post(f"/v1/grants/{answer['grant']['id']}/revoke", body)
    return answer


def test_the_api_says_why_a_grant_was_revoked(world, revoked):
    platform, sme, _, _ = world
    grant = revoked["grant"]["id"]
    [listed] = sme.get("/v1/grants", offering_id=revoked["offering_id"])["items"]
    request = sme.get(f"/v1/access-requests/{revoked['id']}")
    chinese = Session(sme.profile, "zh").get(f"/v1/grants/{grant}")
    for shown in (sme.get(f"/v1/grants/{grant}"), listed, request["grant"]):
        why = shown["revocation"]
        assert (why["revoked_by"], why["reason"], why["text"]) == (
            *("platform", "terms_breached"),
            WORDS,
        )
        assert why["by_organisation_id"] == platform.profile.organisation_id
        assert why["reason_text"] == "The terms were breached."
        assert sme.request("GET", f"/v1/receipts/{why['event_id']}").text
    assert chinese["revocation"]["reason_text"] == "违反了条款。"


def test_the_command_says_why_a_grant_was_revoked(world, revoked):
    _, _, _, run = world
    grant = revoked["grant"]["id"]
    for verb in (("grant", "show", grant), ("grant", "list")):
        said = run(*verb)
        assert said.returncode == 0, said.stderr
        assert f"The terms were breached. {WORDS}" in said.stdout
        assert f"违反了条款。 {WORDS}" in run(*verb, "--lang", "zh").stdout
    said = run("requests", "show", revoked["id"])
    assert f"The terms were breached. {WORDS}" in said.stdout
    said = run("grant", "download", grant)
    assert said.returncode == 1
    assert "revoked by the platform" in said.stderr
    assert f"The terms were breached. {WORDS}" in said.stderr
    said = run("grant", "download", grant, "--json")
    assert json.loads(said.stdout)["grant"]["revocation"]["text"] == WORDS


def test_the_command_revokes_with_words(world):
    platform, sme, _, run = world
    grant = ask(sme, publish(platform))["grant"]["id"]
    words = ("--reason", "no_longer_offered", "--text", "The source closes.")
    said = run("grant", "revoke", grant, *words, "-p", "platform.json")
    assert said.returncode == 0, said.stderr
    assert sme.get(f"/v1/grants/{grant}")["revocation"]["text"] == "The source closes."


def test_the_client_says_why_and_fetches_the_proof(world, revoked, tmp_path):
    me = Exchange.open(tmp_path / "profile.json")
    grant = me.grant(revoked["grant"]["id"])
    assert grant.revocation.reason == "terms_breached"
    assert grant.revocation.text == WORDS
    assert [proof.kind for proof in me.receipts(grant)] == [
        "grant.activated.v1",
        "grant.revoked.v2",
    ]
    assert "grant.revoked.v2" in [proof.kind for proof in me.receipts()]
    with pytest.raises(Refused) as refused:
        me.download(grant, tmp_path / "nothing")
    assert f"The terms were breached. {WORDS}" in str(refused.value)


def test_a_rejection_is_told_in_its_own_words(world, tmp_path):
    platform, sme, lin, run = world
    offering = publish(platform, approval="provider")
    request = ask(sme, offering)["id"]
    waits_because = sme.get(f"/v1/access-requests/{request}")["reasons"][0]["text"]
    lin.post(f"/v1/access-requests/{request}/reject", {"text": "Only for mills. 仅限面粉厂。"})
    told = "The platform rejected the request. Only for mills. 仅限面粉厂。"
    for verb in (
        ("requests", "list"),
        ("requests", "show", request),
        ("requests", "wait", request),
    ):
        said = run(*verb).stdout
        assert told in said, verb
        assert waits_because not in said, "why it waited is not why it was rejected"
        assert (
            "平台拒绝了该申请。 Only for mills. 仅限面粉厂。" in run(*verb, "--lang", "zh").stdout
        )
    me = Exchange.open(tmp_path / "profile.json")
    done = me.wait(request)
    assert (done.status, done.closed.kind) == ("rejected", "rejected")
    assert done.closed.text == "Only for mills. 仅限面粉厂。"
    assert done.closed.by_organisation_id == platform.profile.organisation_id
    assert [proof.kind for proof in me.receipts(done)] == [
        "decision.needs_approval.v1",
        "request.rejected.v1",
    ]


def test_waiting_ends_with_how_it_was_decided(world):
    """0 granted, or it is your turn; 1 refused; 2 nobody decided in time."""
    platform, sme, lin, run = world
    offering = publish(platform, approval="provider")
    rejected = ask(sme, offering)["id"]
    for as_json in ((), ("--json",)):
        said = run("requests", "wait", rejected, "--timeout", "0", *as_json)
        assert said.returncode == 2
        assert "was not decided within 0 seconds" in said.stderr
    assert json.loads(said.stdout)["error"] == "undecided"
    lin.post(f"/v1/access-requests/{rejected}/ask", {"text": "For whom?"})
    assert run("requests", "wait", rejected).returncode == 0
    lin.post(f"/v1/access-requests/{rejected}/reject", {"text": "No."})
    said = run("requests", "wait", rejected, "--json")
    assert (said.returncode, json.loads(said.stdout)["status"]) == (1, "rejected")
    approved = ask(sme, offering, purpose="scientific_research")["id"]
    lin.post(f"/v1/access-requests/{approved}/approve", {})
    assert run("requests", "wait", approved).returncode == 0


def test_the_command_points_to_no_hold_that_its_reader_may_not_see(world, server):
    platform, sme, _, run = world
    offering = publish(platform)
    grant = ask(sme, offering)["grant"]["id"]
    again = ("request", offering["id"], "--purpose", "logistics_planning")
    target = {"target": platform.profile.organisation_id}
    around = operator(server.state).post("/v1/holds", target)["id"]
    own = operator(server.state).post("/v1/holds", {"target": grant})["id"]
    said = run(*again).stdout
    pointed = [line.split()[-1] for line in said.splitlines() if "hold show" in line]
    assert pointed == [own]
    assert run("hold", "show", own).returncode == 0
    assert said.count("suspended by the operator") == 2
    operator(server.state).post(f"/v1/holds/{around}/lift", {})


def test_a_withdrawn_request_says_so(world):
    platform, sme, _, run = world
    request = ask(sme, publish(platform, approval="provider"))["id"]
    said = run("requests", "withdraw", request, "--text", "Found elsewhere.")
    assert "The applicant withdrew the request. Found elsewhere." in said.stdout
