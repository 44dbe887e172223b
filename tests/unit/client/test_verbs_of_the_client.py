"""Every verb of the client, by both drivers: what is sent, what comes of it, what is told."""

import inspect
import json
from datetime import UTC, datetime

import httpx
import pytest

from exchange.client import (
    AsyncExchange,
    Exchange,
    NotAnExchange,
    NotASandbox,
    NotAuthenticated,
    NotReachable,
    ProfileProblem,
    Refused,
    Undecided,
)
from tests.support.either import MODES, Either, joined

OFFERING = {
    "id": "off_1",
    "provider_id": "org_p",
    "version": 3,
    "status": "published",
    "kind": "dataset",
    "title_en": "Flour",
    "terms_digest": "d" * 64,
    "form": [{"name": "use", "kind": "text", "required": True}],
    "of_tomorrow": {"a": 1},
}
GRANT = {
    "id": "grt_1",
    "offering_id": "off_1",
    "offering_version": 3,
    "consumer_id": "org_me",
    "provider_id": "org_p",
    "purpose": "x",
    "actions": ["read"],
    "status": "active",
    "starts_at": "2026-01-01T00:00:00.000Z",
    "ends_at": "2026-02-01T00:00:00.000Z",
    "event_id": "evt_g",
}
REQUEST = {
    "id": "req_1",
    "status": "pending_approval",
    "offering_id": "off_1",
    "offering_version": 3,
    "consumer_id": "org_me",
    "provider_id": "org_p",
    "purpose": "x",
    "days": 30,
    "event_id": "evt_r",
    "created_at": "2026-01-01T00:00:00.000Z",
    "waiting": {
        "for": "provider",
        "organisation_id": "org_p",
        "since": "2026-01-01T00:00:00.000Z",
        "until": None,
        "approvals": 1,
        "approvers": 2,
    },
}


class Server:
    """Answers by path, in turn; the last answer stays."""

    def __init__(self, **answers):
        self.answers = {path: list(each) for path, each in answers.items()}
        self.asked, self.tokens = [], 0

    def __call__(self, request):
        if request.url.path == "/oauth/token":
            self.tokens += 1
            document = {
                "access_token": f"t{self.tokens}",
                "expires_in": 300,
                "token_type": "Bearer",
            }
            return httpx.Response(200, json=document)
        self.asked.append(request)
        answers = self.answers[request.url.path.removeprefix("/v1/")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=document)

    def sent(self, place=-1):
        return json.loads(self.asked[place].content)


@pytest.fixture(params=MODES)
def at(request):
    opened = []

    def open_(server, profile=None, **options):
        opened.append(Either(request.param, profile or joined(), server, **options))
        return opened[-1]

    yield open_
    for each in opened:
        each.shut()


def test_both_have_the_same_verbs_with_the_same_parameters():
    def verbs(kind):
        return {
            name: list(inspect.signature(verb).parameters)
            for name, verb in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert verbs(Exchange) == verbs(AsyncExchange)
    wanted = {"search", "explain", "request", "wait", "answer", "renew", "read", "download"}
    assert wanted | {"receipts", "offering", "steps", "withdraw", "appeal"} <= set(verbs(Exchange))
    assert all(inspect.getdoc(getattr(Exchange, name)) for name in verbs(Exchange))


def test_a_search_follows_its_pages_and_keeps_what_it_does_not_know(at):
    first, second = {"items": [OFFERING], "next": "b"}, {"items": [OFFERING | {"id": "off_2"}]}
    server = Server(offerings=[first, second])
    found = at(server).search("面粉", purpose="x", kind=None)
    assert [each.id for each in found] == ["off_1", "off_2"]
    assert found[0].form[0].name == "use"
    assert found[0].raw["of_tomorrow"] == {"a": 1}
    assert dict(server.asked[0].url.params) == {"q": "面粉", "purpose": "x"}
    assert dict(server.asked[1].url.params) == {"q": "面粉", "purpose": "x", "cursor": "b"}


def test_terms_are_accepted_by_their_digest(at):
    server = Server(**{"offerings/off_1": [OFFERING], "access-requests": [REQUEST]})
    me = at(server)
    made = me.request("off_1", purpose="x", days=5, form={"use": "bread"}, accept_terms=True)
    assert server.sent() == {
        "offering_id": "off_1",
        "purpose": "x",
        "actions": ["read"],
        "days": 5,
        "form": {"use": "bread"},
        "accepted_terms": "d" * 64,
    }
    assert not made.is_decided
    assert (made.waiting.whose, made.waiting.approvals, made.waiting.approvers) == (
        "provider",
        1,
        2,
    )
    assert made.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    me.request("off_1", purpose="x", accept_terms="e" * 64)
    assert server.sent()["accepted_terms"] == "e" * 64
    me.request(me.offering("off_1"), purpose="x")
    assert "accepted_terms" not in server.sent()
    keys = {each.headers["idempotency-key"] for each in server.asked if each.method == "POST"}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("kind", "actions"),
    [("dataset", ["read"]), ("compute", ["call"]), ("technology", ["call", "read"])],
)
def test_a_sandbox_is_tried_for_all_its_days(at, kind, actions):
    shown = OFFERING | {"kind": kind, "max_days": 7, "sandbox": True, "terms_digest": None}
    server = Server(**{"offerings/off_1": [shown], "access-requests": [REQUEST]})
    me = at(server)
    assert me.try_out("off_1").id == "req_1"
    assert server.sent() == {
        "offering_id": "off_1",
        "purpose": "trial",
        "actions": actions,
        "days": 7,
    }
    assert me.try_out(me.offering("off_1")).id == "req_1"


def test_what_is_no_sandbox_is_not_asked_for_by_trying(at):
    server = Server(**{"offerings/off_1": [OFFERING]})
    with pytest.raises(NotASandbox, match="off_1 is no sandbox"):
        at(server).try_out("off_1")
    assert [each.method for each in server.asked] == ["GET"]


def test_a_refusal_tells_reasons_and_remedies(at):
    said = REQUEST | {
        "status": "denied",
        "reasons": [{"code": "purpose_not_allowed", "text": "Not for this."}],
        "remedies": [{"code": "choose_purpose", "text": "Choose another."}],
    }
    problem = {"type": "urn:exchange:problem:access_denied", "detail": "Not for this."}
    server = Server(**{"access-requests": [(403, problem | {"access_request": said})]})
    with pytest.raises(Refused) as refused:
        at(server).request("off_1", purpose="y")
    assert refused.value.code == "access_denied"
    [reason], [remedy] = refused.value.reasons, refused.value.remedies
    assert (reason.code, str(reason)) == ("purpose_not_allowed", "Not for this.")
    assert (remedy.code, remedy.text) == ("choose_purpose", "Choose another.")
    assert str(refused.value) == "Not for this. (access_denied)\n→ Choose another."
    assert len(server.asked) == 1


@pytest.mark.parametrize("passing", [httpx.ConnectError("cut"), (503, {"detail": "Not now."})])
def test_what_passes_is_tried_again_with_the_same_key(at, passing):
    server = Server(**{"access-requests": [passing, passing, REQUEST]})
    me = at(server)
    assert me.request("off_1", purpose="x").id == "req_1"
    keys = [each.headers["idempotency-key"] for each in server.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(me.paused) == 2
    assert 0 < me.paused[0] < 1


def test_nothing_answers(at):
    me = at(Server(**{"offerings/off_1": [httpx.ConnectError("no")], "grants/g/renew": [GRANT]}))
    with pytest.raises(NotReachable, match=r"https://exchange\.example does not answer"):
        me.offering("off_1")
    with pytest.raises(NotAnExchange, match="no request: KeyError 'days'"):
        me.renew("g", days=3)


def test_waiting_backs_off_and_ends_when_it_is_decided_or_yours(at):
    path = "access-requests/req_1"
    asked = REQUEST | {"waiting": REQUEST["waiting"] | {"for": "consumer"}}
    asked["waiting"]["organisation_id"] = "org_me"
    decided = REQUEST | {"status": "approved", "waiting": None, "grant": GRANT}
    cut = httpx.ReadError("cut")
    me = at(Server(**{path: [REQUEST, cut, REQUEST, asked, REQUEST, decided]}))
    found = me.wait("req_1")
    assert found.waiting.whose == "consumer"
    assert me.paused == sorted(me.paused)
    assert len(me.paused) == 3
    found = me.wait(found)
    assert found.is_permitted
    assert found.grant.ends_at == datetime(2026, 2, 1, tzinfo=UTC)


def test_waiting_has_an_end(at):
    with pytest.raises(Undecided, match="req_1 was not decided within 0 seconds"):
        at(Server(**{"access-requests/req_1": [REQUEST]})).wait("req_1", timeout=0)
    with pytest.raises(TimeoutError):
        at(Server(**{"access-requests/req_1": [REQUEST]})).wait("req_1", timeout=0)


@pytest.mark.parametrize(
    ("verb", "path", "given", "body"),
    [
        ("answer", "answer", {"text": "a", "form": {"use": "b"}}, None),
        ("comment", "comment", {"text": "a"}, None),
        ("appeal", "appeal", {"text": "a"}, None),
        ("reject", "reject", {"text": "a"}, None),
        ("ask_back", "ask", {"text": "a"}, None),
        ("approve", "approve", {}, {}),
        ("withdraw", "withdraw", {}, {}),
    ],
)
def test_the_acts_of_a_requests_life(at, verb, path, given, body):
    server = Server(**{f"access-requests/req_1/{path}": [REQUEST]})
    assert getattr(at(server), verb)("req_1", **given).id == "req_1"
    assert server.sent() == (given if body is None else body)


def test_a_renewal_accepts_the_terms_of_its_offering(at):
    server = Server(
        **{
            "grants/grt_1": [GRANT],
            "offerings/off_1": [OFFERING],
            "grants/grt_1/renew": [REQUEST | {"renews": "grt_1"}],
        }
    )
    assert at(server).renew("grt_1", days=9, accept_terms=True).renews == "grt_1"
    assert server.sent() == {"days": 9, "accepted_terms": "d" * 64}


def test_explaining_sends_what_was_given_only(at):
    server = Server(**{"policy/explain": [{"outcome": "deny", "changes": []}]})
    assert at(server).explain("off_1", purpose="x", attributes={"a": 1}).outcome == "deny"
    assert server.sent() == {"offering_id": "off_1", "purpose": "x", "attributes": {"a": 1}}


def test_a_token_that_ended_early_is_asked_for_anew_once(at):
    refused = (401, {"type": "urn:exchange:problem:token_invalid", "detail": "Ended."})
    server = Server(**{"grants/g": [GRANT, refused, GRANT, refused]})
    me = at(server)
    me.grant("g")
    assert me.grant("g").id == "grt_1"
    assert server.tokens == 2
    with pytest.raises(NotAuthenticated, match="Ended"):
        me.grant("g")
    assert server.tokens == 3


def test_the_language_and_the_profile(at, tmp_path, monkeypatch):
    server = Server(grants=[{"items": [GRANT]}])
    assert [each.id for each in at(server, lang="zh").grants(status="active")] == ["grt_1"]
    assert server.asked[0].headers["accept-language"] == "zh"
    monkeypatch.setenv("EXCHANGE_PROFILE", str(tmp_path / "none.json"))
    with pytest.raises(ProfileProblem, match=r"none\.json"):
        Exchange.open()
    known = joined()
    with Exchange.open(url=known.url, client_id="cli_1", key=known.key) as me:
        assert me.session.profile.key == known.key


def test_receipts_need_a_key_from_elsewhere(at):
    with pytest.raises(ProfileProblem, match="may not choose the key"):
        at(Server()).receipts("evt_1")
