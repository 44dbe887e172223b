"""People who would be more than they are: each attack named, through the public API."""

import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from exchange.client.profile import jwks_of, new_profile
from exchange.client.session import Refusal, Session
from tests.support.actors import SME_ATTRIBUTES, ask, join, member, operator, publish
from tests.support.server import ExchangeServer
from tests.support.story import DATABASES, assert_problem, exchange_on


class Cast:
    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        self.operator = operator(server.state)
        self.platform = join(self.operator, "Harbour Data", ["platform"])
        self.sme = join(self.operator, "Small Analytics", ["sme"], SME_ATTRIBUTES)
        self.owner = member(self.operator, self.platform, "Olga", ["owner"])
        self.sme_owner = member(self.operator, self.sme, "Otto", ["owner"])

    def person(self, *roles: str) -> Session:
        return member(self.owner, self.platform, "Anna", list(roles))


@pytest.fixture(scope="module", params=DATABASES)
def cast(request, tmp_path_factory) -> Iterator[Cast]:
    with exchange_on(request.param, tmp_path_factory.mktemp("members")) as server:
        yield Cast(server)


def org(session: Session) -> str:
    return session.profile.organisation_id


def me(session: Session) -> dict:
    return session.get("/v1/me")


def refused(act, *statuses: int) -> dict:
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.status in (statuses or (403,)), caught.value
    return caught.value.document


def accept(cast: Cast, invitation: str, **more) -> httpx.Response:
    body = {"invitation": invitation, "jwks": jwks_of(new_profile("")), **more}
    return httpx.post(cast.server.url + "/v1/invitations/accept", json=body)


def invite(by: Session, to: Session, *roles: str) -> dict:
    return by.post(f"/v1/organisations/{org(to)}/members", {"name": "N", "roles": list(roles)})


def test_everybody_learns_who_they_are(cast):
    anna = cast.person("approver")
    told = me(anna)
    assert told["member"]["roles"] == ["approver"]
    assert told["member"]["name"] == "Anna"
    assert told["client"]["member_id"] == told["member"]["id"]
    assert told["organisation"]["id"] == org(cast.platform)
    assert told["scopes"] == ["approvals", "catalog", "grants", "holds", "participants"]
    assert told["sight"] == []
    assert me(cast.platform)["member"] is None
    assert me(cast.operator)["sight"] == "all"


def test_a_developer_is_no_approver(cast):
    """Neither asked for by name nor by default does a token of theirs allow approving."""
    dora = cast.person("developer")
    assert "approvals" not in me(dora)["scopes"]
    assert refused(lambda: dora.token("approvals"), 400)["error"] == "invalid_scope"


def test_who_is_no_approver_approves(cast):
    """Neither a developer, an owner, an auditor, the platform's program, nor the applicant's own
    approver, nor one approver twice: two people are two people."""
    offering = publish(cast.platform, approval="provider", approvers=2)
    request = ask(cast.sme, offering, purpose="scientific_research")["id"]
    path = f"/v1/access-requests/{request}/approve"
    strangers = [cast.person("developer", "publisher", "owner", "auditor"), cast.platform]
    strangers += [member(cast.sme_owner, cast.sme, "A", ["approver"]), cast.operator]
    for stranger in strangers:
        refused(lambda who=stranger: who.post(path, {"text": ""}), 403, 404)
    anna, bela = cast.person("approver"), cast.person("approver")
    body = {"name": "second", "jwks": jwks_of(made := new_profile(cast.server.url))}
    second = anna.post(f"/v1/organisations/{org(anna)}/clients", body)
    again = Session(replace(made, client_id=second["id"], organisation_id=org(anna)))
    assert anna.post(path, {"text": ""})["status"] == "pending_approval"
    twice = again.post(path, {"text": ""})
    assert (twice["status"], twice["waiting"]["approvals"]) == ("pending_approval", 1)
    assert bela.post(path, {"text": ""})["status"] == "approved"


def test_a_program_claims_to_be_a_person(cast):
    for scope in ("approvals", "members"):
        for program in (cast.platform, cast.operator):
            told = refused(lambda p=program, s=scope: p.token(s), 400)
            assert told["error"] == "invalid_scope"
    refused(lambda: invite(cast.platform, cast.platform, "owner"))
    member_id = me(cast.owner)["member"]["id"]
    key = {"name": "n", "jwks": jwks_of(new_profile(""))}
    for body in ({"member_id": member_id}, {"program": False, "member": member_id}):
        path = f"/v1/organisations/{org(cast.platform)}/clients"
        refused(lambda path=path, body=body: cast.platform.post(path, key | body), 422)
    made = cast.platform.post(f"/v1/organisations/{org(cast.platform)}/clients", key)
    assert made["member_id"] is None


def test_a_person_makes_a_program_to_be_more_than_they_are(cast):
    anna = cast.person("auditor")
    key = {"name": "n", "jwks": jwks_of(new_profile("")), "program": True}
    path = f"/v1/organisations/{org(cast.platform)}/clients"
    assert refused(lambda: anna.post(path, key))["type"].endswith("member_role_missing")
    mine = anna.post(path, key | {"program": False})
    assert mine["member_id"] == me(anna)["member"]["id"]


def test_the_owner_of_another_organisation_manages(cast):
    anna = me(cast.person("developer"))["member"]["id"]
    for act in (
        lambda: invite(cast.sme_owner, cast.platform, "owner"),
        lambda: cast.sme_owner.put(f"/v1/members/{anna}", {"roles": ["owner"]}),
        lambda: cast.sme_owner.post(f"/v1/members/{anna}/remove"),
        lambda: cast.sme_owner.get(f"/v1/organisations/{org(cast.platform)}/members"),
    ):
        refused(act)
    refused(lambda: cast.sme_owner.get(f"/v1/members/{anna}"), 404)


def test_an_approver_promotes_themself(cast):
    anna = cast.person("approver")
    own = me(anna)["member"]["id"]
    refused(lambda: anna.put(f"/v1/members/{own}", {"roles": ["owner", "approver"]}))
    refused(lambda: invite(anna, cast.platform, "approver"))
    refused(lambda: anna.token("members"), 400)
    assert me(anna)["member"]["roles"] == ["approver"]


def test_a_removed_members_token_ends_at_once(cast):
    anna = cast.person("approver")
    token, own = anna.token(), me(anna)["member"]["id"]
    second = cast.person("developer")
    cast.owner.post(f"/v1/members/{own}/remove")
    answer = httpx.get(cast.server.url + "/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert_problem(answer, 401)
    fresh = Session(anna.profile)
    assert refused(fresh.token, 400)["error"] == "invalid_client"
    assert me(second)["member"]["status"] == "active"
    assert cast.owner.get(f"/v1/members/{own}")["name"] is None


def test_roles_taken_away_end_in_tokens_given_before(cast):
    anna = cast.person("approver")
    anna.token()
    own = me(anna)["member"]["id"]
    cast.owner.put(f"/v1/members/{own}", {"roles": ["auditor"]})
    assert "approvals" not in me(anna)["scopes"]


def test_an_invitation_is_replayed_guessed_or_withdrawn(cast):
    invited = invite(cast.owner, cast.platform, "approver")
    secret = invited["invitation"]
    assert accept(cast, secret).status_code == 201
    wrong = [secret, "A" * 43, secret[:-1] + ("A" if secret[-1] != "A" else "B")]
    withdrawn = invite(cast.owner, cast.platform, "approver")
    cast.owner.post(f"/v1/members/{withdrawn['member']['id']}/remove")
    answers = [accept(cast, each) for each in [*wrong, withdrawn["invitation"]]]
    told = [assert_problem(answer, 404, "invitation_unknown") for answer in answers]
    assert len({(each["detail"], each["hint"]) for each in told}) == 1
    for broken in ("", "x", secret + "=", secret.replace(secret[0], "/"), 7, None, [secret]):
        assert_problem(accept(cast, broken), 422)


def test_an_invitation_stands_in_no_log_and_no_list(cast):
    secret = invite(cast.owner, cast.platform, "developer")["invitation"]
    listed = cast.owner.request("GET", f"/v1/organisations/{org(cast.platform)}/members").text
    assert secret not in listed
    accept(cast, secret)
    accept(cast, secret)
    assert secret not in cast.server.log()


def test_roles_that_are_none(cast):
    for roles in ([], ["owner", "owner"], ["operator"], ["Owner"], "owner", [["owner"]], None):
        body = {"name": "N", "roles": roles}
        path = f"/v1/organisations/{org(cast.platform)}/members"
        refused(lambda path=path, body=body: cast.owner.post(path, body), 422)


def test_a_person_of_the_operator_operates_nothing(cast):
    """Operating is the operator's program's: no role of a person there has that scope."""
    person = member(cast.operator, cast.operator, "Ola", ["owner", "developer", "publisher"])
    refused(lambda: invite(person, cast.platform, "approver"))
    body = {"name": "n", "jwks": jwks_of(new_profile(""))}
    refused(lambda: person.post(f"/v1/organisations/{org(cast.platform)}/clients", body))
    refused(lambda: person.post(f"/v1/clients/{cast.platform.profile.client_id}/disable"))
    value = {"value": 3, "evidence": "verified"}
    path = f"/v1/organisations/{org(cast.sme)}/attributes/headcount"
    refused(lambda: person.put(path, value))


def test_names_are_told_to_their_own_organisation_only(cast):
    auditor = join(cast.operator, "Auditor", ["auditor"])
    own = me(cast.owner)["member"]["id"]
    assert cast.owner.get(f"/v1/members/{own}")["name"] == "Olga"
    assert auditor.get(f"/v1/members/{own}")["name"] is None
    log = auditor.get("/v1/log/entries", start=0, limit=100)
    assert "Olga" not in str(log)


def test_a_removed_person_downloads_no_more(cast):
    """Their grant is the organisation's, but their client delivers nothing more."""
    offering = publish(cast.platform)
    dora = member(cast.sme_owner, cast.sme, "Dora", ["developer"])
    grant = ask(dora, offering)["grant"]["id"]
    token = dora.token(f"grant:{grant}")
    url = f"{cast.server.url}/gateway/grants/{grant}/files/data.bin"
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(url, headers=bearer).status_code == 200
    own = me(dora)["member"]["id"]
    cast.sme_owner.put(f"/v1/members/{own}", {"roles": ["auditor"]})
    fresh = Session(dora.profile)
    assert refused(lambda: fresh.token(f"grant:{grant}"), 400)["error"] == "invalid_scope"
    cast.sme_owner.post(f"/v1/members/{own}/remove")
    started = time.monotonic()
    assert httpx.get(url, headers=bearer).status_code in (401, 403)
    assert time.monotonic() - started < 5
