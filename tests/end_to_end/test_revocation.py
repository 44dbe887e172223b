"""What a revocation, a hold, a disabled client and changed terms do, seen from outside."""

import time

import httpx
import pytest

from exchange.client.session import Refusal
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.server import ExchangeServer

SIZE = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("revocation") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def platform(server):
    return join(operator(server.state), "Platform", ["platform"], {"jurisdiction": "CN"})


@pytest.fixture
def sme(server):
    return join(operator(server.state), "SME", ["sme"], SME_ATTRIBUTES)


def pieces():
    for _ in range(SIZE // (1024 * 1024)):
        yield bytes(1024 * 1024)


@pytest.fixture(scope="module")
def large(platform):
    platform.request("PUT", "/v1/files/large.bin", content=pieces())
    source = {"connector": "files", "path": "large.bin"}
    return publish(platform, source=source)


def hold(by, target):
    by.post("/v1/holds", {"target": target, "reason": "security_incident"})


def move_away(by, org_id):
    """What the policy would refuse now: a hold by the rule follows by itself."""
    body = {"value": "US", "evidence": "verified"}
    by.put(f"/v1/organisations/{org_id}/attributes/jurisdiction", body)


CUTS = {
    "grant revoked": lambda p, o, s, g: p.post(f"/v1/grants/{g['id']}/revoke", {}),
    "client disabled": lambda p, o, s, g: o.post(f"/v1/clients/{s.profile.client_id}/disable"),
    "grant held": lambda p, o, s, g: hold(p, g["id"]),
    "offering held": lambda p, o, s, g: hold(p, g["offering_id"]),
    "consumer held": lambda p, o, s, g: hold(o, g["consumer_id"]),
    "consumer's attribute": lambda p, o, s, g: move_away(o, g["consumer_id"]),
}


@pytest.mark.parametrize("how", CUTS)
def test_a_running_download_is_cut(server, large, platform, sme, how):
    given = ask(sme, large)["grant"]
    grant = given["id"]
    headers = {"Authorization": f"Bearer {sme.token(f'grant:{grant}')}"}
    path = f"/gateway/grants/{grant}/files/large.bin"
    got, revoked = 0, 0.0
    with (
        pytest.raises(httpx.HTTPError),
        sme.http.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        for piece in answer.iter_raw(64 * 1024):
            got += len(piece)
            if got > 4 * 1024 * 1024 and not revoked:
                CUTS[how](platform, operator(server.state), sme, given)
                revoked = time.monotonic()
            if revoked:
                time.sleep(0.02)  # a reader slower than the file is long
                assert time.monotonic() < revoked + 10, "still delivered ten seconds later"
    assert 4 * 1024 * 1024 < got < SIZE
    for each in operator(server.state).pages("/v1/holds", open=True):
        operator(server.state).post(f"/v1/holds/{each['id']}/lift", {})


def test_the_same_download_goes_through_while_the_grant_stands(large, sme):
    grant = ask(sme, large)["grant"]["id"]
    scope = f"grant:{grant}"
    whole = sme.request("GET", f"/gateway/grants/{grant}/files/large.bin", scope=scope)
    assert len(whole.content) == SIZE


def test_a_pending_request_does_not_outlive_the_terms_that_made_it_wait(platform, sme):
    offering = publish(platform, file_name="waits.bin", approval="provider")
    first = ask(sme, offering)
    assert first["status"] == "pending_approval"
    assert ask(sme, offering)["id"] == first["id"]
    terms = {k: v for k, v in offering.items() if k in TERM_NAMES} | {"approval": "automatic"}
    platform.put(f"/v1/offerings/{offering['id']}", terms)
    again = ask(sme, offering)
    assert again["status"] == "permitted"
    assert again["offering_version"] == 2


def test_a_pending_request_answers_even_where_the_policy_would_now_refuse(platform, sme):
    offering = publish(platform, file_name="still.bin", approval="provider")
    first = ask(sme, offering)
    assert first["status"] == "pending_approval"
    mine = sme.profile.organisation_id
    body = {"value": "US", "evidence": "self_declared"}
    sme.put(f"/v1/organisations/{mine}/attributes/jurisdiction", body)
    again = ask(sme, offering)
    assert (again["id"], again["status"]) == (first["id"], "pending_approval")
    requests = [r for r in sme.pages("/v1/access-requests") if r["offering_id"] == offering["id"]]
    assert len(requests) == 1


TERM_NAMES = {
    "kind",
    "title_en",
    "title_zh",
    "description_en",
    "description_zh",
    "classification",
    "personal_information",
    "purposes",
    "max_days",
    "jurisdictions",
    "min_evidence",
    "approval",
    "sizes",
    "max_sessions",
    "source",
}


def test_a_platform_learns_no_attributes_from_a_refusal(platform, sme):
    probe = publish(platform, file_name="probe.bin", jurisdictions=["ZZ"], sizes=["large"])
    with pytest.raises(Refusal) as refused:
        ask(sme, probe)
    told = refused.value.document["access_request"]
    assert {"jurisdiction": "CN"} in [reason["params"] for reason in told["reasons"]]
    seen = platform.get(f"/v1/access-requests/{told['id']}")
    assert [reason["code"] for reason in seen["reasons"]] == [r["code"] for r in told["reasons"]]
    assert all(reason["params"] == {} for reason in seen["reasons"])
    assert seen["remedies"] == []
    assert '"CN"' not in str(seen["reasons"])
    listed = next(r for r in platform.pages("/v1/access-requests") if r["id"] == told["id"])
    assert all(reason["params"] == {} for reason in listed["reasons"])
