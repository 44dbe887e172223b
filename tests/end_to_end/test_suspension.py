"""Suspension seen from outside: who is told what, what a suspended organisation may still do."""

import json
import re

import httpx
import pytest

from exchange.client.session import Refusal
from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator, publish
from tests.support.commands import environment, exchange
from tests.support.server import ExchangeServer
from tests.support.story import assert_problem


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("suspension") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def by(server):
    return operator(server.state)


@pytest.fixture
def platform(by):
    return join(by, "Platform", ["platform"], {"jurisdiction": "CN"})


@pytest.fixture
def sme(by):
    return join(by, "SME", ["sme"], SME_ATTRIBUTES)


@pytest.fixture
def grant(platform, sme):
    return ask(sme, publish(platform))["grant"]


def fetch(server, sme, grant, token=None):
    token = token or sme.token(f"grant:{grant['id']}")
    path = f"{server.url}/gateway/grants/{grant['id']}/files/data.bin"
    return httpx.get(path, headers={"Authorization": f"Bearer {token}"})


def test_whoever_holds_the_grant_sees_who_suspended_it_since_when_and_why(
    server, by, platform, sme, grant
):
    token = sme.token(f"grant:{grant['id']}")
    assert fetch(server, sme, grant, token).is_success
    body = {"target": grant["id"], "reason": "terms_breached", "text": "Published by others."}
    hold = platform.post("/v1/holds", body)
    assert hold["receipt"]
    problem = assert_problem(fetch(server, sme, grant, token), 403, "grant_suspended")
    assert "who placed it and why" in problem["hint"]
    shown = sme.get(f"/v1/grants/{grant['id']}")
    assert shown["status"] == "suspended"
    assert [each["hold_id"] for each in shown["holds"]] == [hold["id"]]
    assert shown["holds"][0]["placed_by"] == "platform"
    assert shown["holds"][0]["by_organisation_id"] == platform.profile.organisation_id
    assert shown["holds"][0]["reason"] == "terms_breached"
    assert shown["holds"][0]["since"] == hold["placed_at"]
    told = sme.get(f"/v1/holds/{hold['id']}")
    assert (told["text"], told["open"]) == ("Published by others.", True)
    assert told["reason_text"] == "The terms were breached."
    zh = sme.request("GET", f"/v1/holds/{hold['id']}", headers={"Accept-Language": "zh"}).json()
    assert zh["reason_text"] == "违反了条款。"
    assert sme.get("/v1/grants", status="suspended")["items"][0]["id"] == grant["id"]
    with pytest.raises(Refusal) as refused:
        sme.core._tokens.clear()
        fetch(server, sme, grant)
    assert refused.value.document["error"] == "access_denied"
    lifted = platform.post(f"/v1/holds/{hold['id']}/lift", {"text": "Settled."})
    assert (lifted["open"], lifted["lifted_by"]) == (False, "platform")
    assert lifted["receipt"]
    assert platform.post(f"/v1/holds/{hold['id']}/lift", {})["receipt"] is None
    assert sme.get(f"/v1/grants/{grant['id']}")["holds"] == []
    assert fetch(server, sme, grant).is_success


def test_the_other_partys_trouble_is_not_told(by, platform, sme, grant):
    hold = by.post("/v1/holds", {"target": grant["provider_id"], "reason": "unpaid"})
    (told,) = sme.get(f"/v1/grants/{grant['id']}")["holds"]
    assert (told["target_kind"], told["placed_by"], told["reason"]) == (
        *("organisation", "operator"),
        None,
    )
    (own,) = platform.get(f"/v1/grants/{grant['id']}")["holds"]
    assert own["reason"] == "unpaid"
    assert sme.get("/v1/holds")["items"] == []
    with pytest.raises(Refusal) as refused:
        sme.get(f"/v1/holds/{hold['id']}")
    assert refused.value.status == 404


def test_a_suspended_sme_reads_and_appeals_and_does_nothing_else(server, by, platform, sme):
    offering = publish(platform)
    granted = ask(sme, offering)
    grant, old_token = granted["grant"], sme.token()
    me = sme.profile.organisation_id
    hold = by.post("/v1/holds", {"target": me, "reason": "under_investigation"})
    for token in (old_token, None):  # one from before, and one of now
        if token is None:
            sme.core._tokens.clear()
            token = sme.token()
        headers = {"Authorization": f"Bearer {token}"}

        def call(method, path, headers=headers, **options):
            return httpx.request(method, server.url + path, headers=headers, **options)

        for path in (
            f"/v1/organisations/{me}",
            f"/v1/organisations/{me}/clients",
            "/v1/access-requests",
            f"/v1/access-requests/{granted['id']}",
            "/v1/grants",
            f"/v1/grants/{grant['id']}",
            "/v1/holds?open=true",
            f"/v1/receipts/{granted['event_id']}",
        ):
            assert call("GET", path).is_success, path
        (shown,) = call("GET", "/v1/holds?open=true").json()["items"]
        assert (shown["id"], shown["target"]) == (hold["id"], me)
        body = {"offering_id": offering["id"], "purpose": "scientific_research", "days": 3}
        attribute = {"value": 7, "evidence": "self_declared"}
        for method, path, document in (
            ("GET", "/v1/offerings", None),
            ("GET", f"/v1/offerings/{offering['id']}", None),
            ("POST", "/v1/access-requests", body),
            ("POST", f"/v1/grants/{grant['id']}/renew", {"days": 90}),
            ("PUT", f"/v1/organisations/{me}/attributes/headcount", attribute),
            ("POST", f"/v1/organisations/{me}/clients", {"name": "x", "jwks": {"keys": []}}),
            ("POST", f"/v1/clients/{sme.profile.client_id}/disable", None),
            ("POST", f"/v1/access-requests/{granted['id']}/comment", {"text": "?"}),
        ):
            answer = call(method, path, json=document)
            assert_problem(answer, 403, "organisation_suspended")
        appeal = call("POST", f"/v1/access-requests/{granted['id']}/appeal", json={"text": "No!"})
        assert appeal.is_success, appeal.text
        assert appeal.json()["receipt"]
        assert appeal.json()["grant"]["status"] == "suspended"
    with pytest.raises(Refusal) as refused:
        sme.token(f"grant:{grant['id']}")
    assert refused.value.document["error"] == "access_denied"
    by.post(f"/v1/holds/{hold['id']}/lift", {})
    sme.core._tokens.clear()
    assert fetch(server, sme, grant).is_success


def test_a_suspended_platform_reads_and_does_nothing_else(server, by, platform, grant):
    offering = grant["offering_id"]
    hold = by.post("/v1/holds", {"target": platform.profile.organisation_id})
    for method, path, body in (
        ("POST", "/v1/offerings", TERMS),
        ("PUT", "/v1/files/x.csv", None),
        ("POST", f"/v1/offerings/{offering}/withdraw", None),
        ("POST", f"/v1/grants/{grant['id']}/revoke", {}),
        ("POST", "/v1/holds", {"target": grant["id"]}),
        ("POST", f"/v1/holds/{hold['id']}/lift", {}),
    ):
        headers = {"Authorization": f"Bearer {platform.token()}"}
        answer = httpx.request(method, server.url + path, json=body, headers=headers)
        assert_problem(answer, 403, "organisation_suspended")
    assert platform.get(f"/v1/grants/{grant['id']}")["status"] == "suspended"
    by.post(f"/v1/holds/{hold['id']}/lift", {})


def test_a_held_offering_shows_it_and_is_asked_for_in_vain(by, platform, sme, grant):
    target = grant["offering_id"]
    hold = by.post("/v1/holds", {"target": target, "reason": "security_incident"})
    assert sme.get(f"/v1/offerings/{target}")["status"] == "suspended"
    with pytest.raises(Refusal) as refused:
        ask(sme, {"id": target}, purpose="scientific_research")
    reason = refused.value.document["access_request"]["reasons"][0]
    assert (reason["code"], reason["params"]) == (
        "offering_not_published",
        {"status": "suspended"},
    )
    by.post(f"/v1/holds/{hold['id']}/lift", {})
    assert sme.get(f"/v1/offerings/{target}")["status"] == "published"


def test_by_the_command(server, tmp_path, platform, sme, grant):
    def run(*words, who):
        profile = tmp_path / "profile.json"
        profile.write_text(json.dumps(vars_of(who)))
        done = exchange("hold", *words, "--profile", str(profile), cwd=tmp_path, env=environment())
        assert done.returncode == 0, done.stderr
        return done.stdout

    receipt = str(tmp_path / "hold.tlog-proof")
    placed = run(
        *("place", grant["id"], "--reason", "unpaid", "--receipt", receipt, "--json"),
        who=platform,
    )
    hold = json.loads(placed)["id"]
    assert (tmp_path / "hold.tlog-proof").read_text().startswith("c2sp.org/tlog-proof@v1")
    assert hold in run("list", who=sme)
    assert "有款项未付" in run("show", hold, "--lang", "zh", who=sme)
    assert "platform" in run("lift", hold, "--text", "Paid.", who=platform)
    assert hold not in run("list", "--target", grant["id"], who=sme)
    assert hold in run("list", "--lifted", who=sme)


def vars_of(session):
    profile = session.profile
    return {
        "url": profile.url,
        "client_id": profile.client_id,
        "organisation_id": profile.organisation_id,
        "key": profile.key,
    }


def test_a_suspended_offering_or_platform_shows_no_rows(by, platform, sme):
    table = publish(platform, b"a,b\n1,2\n", file_name="t.csv", sample_rows=1)["id"]
    for target in (table, platform.profile.organisation_id):
        assert sme.get(f"/v1/offerings/{table}/sample")["files"][0]["rows"] == [[1, 2]]
        hold = by.post("/v1/holds", {"target": target, "reason": "security_incident"})["id"]
        with pytest.raises(Refusal) as refused:
            sme.get(f"/v1/offerings/{table}/sample")
        assert refused.value.code == "sample_unknown"
        by.post(f"/v1/holds/{hold}/lift", {"text": "settled"})
    assert sme.get(f"/v1/offerings/{table}/sample")["files"][0]["rows"] == [[1, 2]]


def test_an_offerings_hold_is_explained_to_whoever_holds_a_grant_of_it(platform, sme, by, grant):
    words = {"reason": "terms_breached", "text": "Published by others."}
    platform.post("/v1/holds", {"target": grant["offering_id"], **words})
    answer = sme.request("GET", f"/v1/grants/{grant['id']}", headers={"Accept-Language": "zh"})
    [held] = answer.json()["holds"]
    assert (held["reason"], held["text"]) == (words["reason"], words["text"])
    assert re.match("[\u4e00-\u9fff]", held["reason_text"])
    by.post("/v1/holds", {"target": platform.profile.organisation_id, **words})
    other = sme.get(f"/v1/grants/{grant['id']}")["holds"][1]  # between the operator and it
    assert (other["reason"], other["reason_text"], other["text"]) == (None, None, None)


def test_several_approvers_need_an_approval(platform):
    with pytest.raises(Refusal) as refused:
        platform.post("/v1/offerings", TERMS | {"approvers": 2})
    assert refused.value.status == 422
    assert "approval to provider" in refused.value.detail


def test_explain_says_what_a_request_must_bring(platform, sme):
    terms = {"terms_en": "Keep it.", "terms_zh": "保密。"}
    field = {"name": "use", "label_en": "Use", "label_zh": "用途", "required": True}
    offering = publish(platform, form=[field], **terms)
    ask_for = {"offering_id": offering["id"], "purpose": "logistics_planning", "days": 5}
    found = sme.post("/v1/policy/explain", ask_for)
    assert found["outcome"] == "permit"
    assert found["terms_digest"] == offering["terms_digest"]
    assert found["required_fields"] == ["use"]
