"""Renewing with a form, and what is said of a grant that is suspended, by the command."""

import json
import time
from dataclasses import asdict

import pytest

from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.commands import exchange
from tests.support.server import ExchangeServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("grant_verbs") / "state") as running:
        yield running


@pytest.fixture
def world(server, tmp_path):
    """A platform, an SME, and the SME's command."""
    by = operator(server.state)
    platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
    sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
    (tmp_path / "profile.json").write_text(json.dumps(asdict(sme.profile)))
    return platform, sme, lambda *words: exchange(*words, cwd=tmp_path)


def test_a_grant_whose_offering_has_a_form_is_renewed(world, tmp_path):
    platform, sme, run = world
    label = {"label_en": "Use", "label_zh": "用途"}
    fields = [
        {"name": "use", "kind": "text", "required": True, **label},
        {"name": "trucks", "kind": "number", "required": True, **label},
    ]
    terms = {"terms_en": "Keep it.", "terms_zh": "保密。"}
    offering = publish(platform, form=fields, **terms)
    filled = {"form": {"use": "baking", "trucks": 2}, "accepted_terms": offering["terms_digest"]}
    grant = ask(sme, offering, days=5, **filled)["grant"]["id"]
    renew = ("grant", "renew", grant, "--accept-terms", "--json")
    refused = run(*renew, "--days", 20)
    assert refused.returncode == 1
    assert "form.use is required" in refused.stderr
    done = run(*renew, "--days", 20, "--form", "use=bread", "--form", "trucks=3")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["form"] == {"use": "bread", "trucks": 3}
    (tmp_path / "form.json").write_text('{"use": "cake", "trucks": 1}')
    done = run(*renew, "--days", 40, "--form-file", "form.json", "--form", "trucks=4")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["form"] == {"use": "cake", "trucks": 4}


def test_asking_for_what_is_suspended_says_so_and_by_whom_and_why(world):
    platform, sme, run = world
    offering = publish(platform)
    grant = ask(sme, offering)["grant"]["id"]
    again = ("request", offering["id"], "--purpose", "logistics_planning")
    assert f"{grant} granted until" in run(*again).stdout
    words = {"reason": "terms_breached", "text": "Published by others."}
    platform.post("/v1/holds", {"target": grant, **words})
    said = run(*again).stdout
    assert "granted until" not in said
    assert f"{grant} is suspended" in said
    assert f"the platform {platform.profile.organisation_id} since" in said
    assert "The terms were breached. Published by others." in said


def test_a_rules_hold_is_listed_with_what_the_policy_said(world):
    platform, sme, run = world
    grant = ask(sme, publish(platform, min_evidence="verified"))["grant"]["id"]
    declared = {"value": "CN", "evidence": "self_declared"}
    sme.put(f"/v1/organisations/{sme.profile.organisation_id}/attributes/jurisdiction", declared)
    deadline = time.monotonic() + 30
    while not (holds := sme.get("/v1/holds", target=grant)["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (reason,) = holds[0]["policy_reasons"]
    listed = run("hold", "list").stdout
    assert holds[0]["reason_text"] in listed
    assert reason["text"] in listed
    assert reason["text"] not in holds[0]["reason_text"]
