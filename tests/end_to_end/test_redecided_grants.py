"""A grant that the policy would refuse now, seen from outside: two workers on PostgreSQL."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from exchange.client.session import Refusal
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase
from tests.support.server import ExchangeServer
from tests.support.story import assert_problem

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    made = OwnDatabase("postgres", tmp_path_factory.mktemp("redecided") / "state")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(database):
    with ExchangeServer(database.state, database_url=database.url, workers="2") as running:
        yield running


def until(sme, grant, status):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shown = sme.get(f"/v1/grants/{grant['id']}")
        if shown["status"] == status:
            return shown
        time.sleep(0.05)
    raise AssertionError(f"{shown['status']}, not {status}")


def said(server, what):
    """Return how many the workers' logs say; the line follows the grant's change."""
    deadline, count = time.monotonic() + 20, 0
    while not count and time.monotonic() < deadline:
        time.sleep(0.05)
        lines = (line for line in server.log().splitlines() if '"grants_redecided"' in line)
        count = sum(json.loads(line)[what] for line in lines)
    return count


def declare(by, sme, name, value, evidence):
    body = {"value": value, "evidence": evidence}
    by.put(f"/v1/organisations/{sme.profile.organisation_id}/attributes/{name}", body)


def test_a_change_holds_a_grant_says_why_and_the_remedy_lets_go(server, database):
    by = operator(server.state)
    platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
    sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
    grant = ask(sme, publish(platform, min_evidence="verified"))["grant"]
    by_platform = platform.post("/v1/holds", {"target": grant["id"], "reason": "unpaid"})
    platform.post(f"/v1/holds/{by_platform['id']}/lift", {})
    token = sme.token(f"grant:{grant['id']}")

    declare(sme, sme, "jurisdiction", "CN", "self_declared")  # no longer verified
    shown = until(sme, grant, "suspended")
    (why,) = shown["holds"]
    assert (why["placed_by"], why["reason"]) == ("rule", "policy_would_refuse")
    assert why["by_organisation_id"] is None
    hold = sme.get(f"/v1/holds/{why['hold_id']}")
    assert [each["code"] for each in hold["policy_reasons"]] == ["evidence_too_low"]
    assert "erified" in hold["policy_remedies"][0]["text"]
    zh = sme.request("GET", f"/v1/holds/{hold['id']}", headers={"Accept-Language": "zh"}).json()
    for each in ("policy_reasons", "policy_remedies"):
        assert zh[each][0]["text"] != hold[each][0]["text"]
        assert any("一" <= letter <= "鿿" for letter in zh[each][0]["text"])
    assert zh["reason_text"] != hold["reason_text"]
    seen = next(h for h in platform.pages("/v1/holds", open=True))
    assert [each["code"] for each in seen["policy_reasons"]] == ["evidence_too_low"]
    assert all(each["params"] == {} for each in seen["policy_reasons"])
    assert seen["policy_remedies"] == []

    path = f"{server.url}/gateway/grants/{grant['id']}/files/data.bin"
    refused = sme.http.get(path, headers={"Authorization": f"Bearer {token}"})
    assert_problem(refused, 403, "grant_suspended")
    with pytest.raises(Refusal):
        sme.core._tokens.clear()
        sme.token(f"grant:{grant['id']}")
    for caller in (platform, sme):
        with pytest.raises(Refusal):
            caller.post(f"/v1/holds/{hold['id']}/lift", {})

    declare(by, sme, "jurisdiction", "CN", "verified")  # the remedy, followed
    until(sme, grant, "active")
    assert sme.request("GET", path.removeprefix(server.url), scope=f"grant:{grant['id']}").content
    lifted = sme.get(f"/v1/holds/{hold['id']}")
    assert (lifted["open"], lifted["lifted_by"]) == (False, "rule")
    judged = judge(database.sql)
    assert judged.count("hold.lifted.v1") == 2
    assert said(server, "placed") == said(server, "lifted") == 1


def test_changes_at_once_on_both_workers_are_one_hold_a_grant(server, database):
    by = operator(server.state)
    platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
    smes = [join(by, f"SME {n}", ["sme"], SME_ATTRIBUTES) for n in range(6)]
    offerings = [publish(platform, file_name=f"{n}.bin") for n in range(2)]
    grants = [(sme, ask(sme, offering)["grant"]) for sme in smes for offering in offerings]
    before = judge(database.sql).count("hold.placed.v1")
    for country, status in (("US", "suspended"), ("CN", "active"), ("US", "suspended")):
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda s, c=country: declare(by, s, "jurisdiction", c, "verified"), smes))
        for sme, grant in grants:
            until(sme, grant, status)
    time.sleep(1)  # both workers have looked: nothing more comes
    assert judge(database.sql).count("hold.placed.v1") - before == 2 * len(grants)
    for sme, grant in grants:
        assert len(sme.get(f"/v1/grants/{grant['id']}")["holds"]) == 1
