"""Sessions: tokens are used again until they are nearly over, and every refusal is understood."""

import json
from dataclasses import replace
from urllib.parse import parse_qs

import httpx
import pytest

from exchange.client import core as module
from exchange.client.errors import ProfileProblem
from exchange.client.profile import new_profile
from exchange.client.session import NotAnExchange, Refusal, Session, open_http
from exchange.formats.jws import read_jws

PROFILE = replace(new_profile("https://exchange.example/"), client_id="cli_1")


class Exchange:
    """An exchange's answers, and what it was asked."""

    def __init__(self, expires_in=300):
        self.token_requests, self.requests = [], []
        self.expires_in = expires_in
        self.answer = httpx.Response(200, json={})

    def __call__(self, request):
        if request.url.path == "/oauth/token":
            self.token_requests.append(parse_qs(request.content.decode()))
            number = len(self.token_requests)
            document = {
                "access_token": f"token-{number}",
                "expires_in": self.expires_in,
                "token_type": "Bearer",
            }
            return httpx.Response(200, json=document)
        self.requests.append(request)
        return self.answer


@pytest.fixture
def exchange():
    return Exchange()


def joined(exchange, profile=PROFILE, lang="en"):
    me = Session(profile, lang)
    headers = me.http.headers
    me.http.close()
    transport = httpx.MockTransport(exchange)
    me.http = httpx.Client(transport=transport, base_url=profile.url, headers=headers)
    return me


def test_a_token_is_used_again_for_its_scope_only(exchange):
    me = joined(exchange)
    me.get("/a")
    me.get("/b")
    assert len(exchange.token_requests) == 1
    me.get("/c", scope="grant:g")
    me.get("/d", scope="grant:g")
    assert [form.get("scope") for form in exchange.token_requests] == [None, ["grant:g"]]
    sent = [request.headers["authorization"] for request in exchange.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_a_token_that_is_nearly_over_is_asked_for_anew(exchange, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    me = joined(exchange)
    assert me.token() == "token-1"
    now[0] += 300 - module.EARLY_SECONDS - 1
    assert me.token() == "token-1"
    now[0] += 2
    assert me.token() == "token-2"


def test_each_assertion_is_for_this_issuer_and_good_once(exchange):
    me = joined(Exchange(expires_in=0))
    first, second = (read_jws(me.assertion()) for _ in range(2))
    claims = [json.loads(each.payload) for each in (first, second)]
    assert {each["aud"] for each in claims} == {"https://exchange.example"}
    assert {each["sub"] for each in claims} == {"cli_1"}
    assert claims[0]["jti"] != claims[1]["jti"]


def test_the_language_is_asked_for(exchange):
    joined(exchange, lang="zh").get("/x")
    assert exchange.requests[0].headers["accept-language"] == "zh"


def test_a_problem_is_parsed(exchange):
    problem = {"type": "urn:exchange:problem:grant_revoked", "detail": "It was revoked."}
    exchange.answer = httpx.Response(403, json=problem)
    with pytest.raises(Refusal) as refused:
        joined(exchange).get("/x")
    assert refused.value.status == 403
    assert refused.value.document == problem
    assert str(refused.value) == "It was revoked. (grant_revoked)"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "no detail (invalid_client)"),
        (httpx.Response(502, text="<h1>Bad gateway</h1>"), "HTTP 502, without a reason (502)"),
        (httpx.Response(500, json=["no", "object"]), "no detail (500)"),
        (httpx.Response(302, headers={"location": "https://evil.example"}), "HTTP 302, without"),
    ],
)
def test_a_refusal_that_is_no_problem_document(exchange, answer, said):
    exchange.answer = answer
    with pytest.raises(Refusal) as refused:
        joined(exchange).get("/x")
    assert str(refused.value).startswith(said)


def test_a_refused_stream_is_read_for_its_reason(exchange):
    exchange.answer = httpx.Response(403, json={"detail": "It was revoked."})
    with (
        pytest.raises(Refusal, match="It was revoked"),
        joined(exchange).stream("https://exchange.example/f", scope="grant:g"),
    ):
        pass


@pytest.mark.parametrize(
    "token", [{}, [], {"access_token": "t"}, {"access_token": "t", "expires_in": "x"}]
)
def test_what_gives_no_token_is_no_exchange(token):
    me = joined(lambda _request: httpx.Response(200, json=token))
    with pytest.raises(NotAnExchange, match="gives no token"):
        me.token()


def test_what_answers_in_html_is_no_exchange(exchange):
    exchange.answer = httpx.Response(200, text="<html>")
    with pytest.raises(NotAnExchange, match=r"https://exchange\.example/ answers, but not as"):
        joined(exchange).get("/x?token=secret")


def test_a_profile_that_nobody_knows_asks_nothing(exchange):
    with pytest.raises(ProfileProblem, match="exchange profile key"):
        joined(exchange, replace(PROFILE, client_id="")).get("/x")
    with pytest.raises(ProfileProblem, match="key cannot sign"):
        joined(exchange, replace(PROFILE, key={})).get("/x")
    assert exchange.token_requests == exchange.requests == []


def test_pages_are_followed_to_the_end():
    pages = {None: {"items": [1, 2], "next": "b"}, "b": {"items": [3]}}

    def answer(request):
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200, json={"access_token": "t", "expires_in": 300, "token_type": "Bearer"}
            )
        assert request.url.params["start"] == "7"
        return httpx.Response(200, json=pages[request.url.params.get("cursor")])

    assert list(joined(answer).pages("/list", start=7)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://localhost:8000", False),
        ("http://[::1]:8000", False),
        ("http://0.0.0.0:8000", False),
        ("https://exchange.example", True),
        ("http://127.0.0.1.evil.example", True),
    ],
)
def test_only_for_other_machines_a_proxy_is_asked(url, asked, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with open_http(url) as http:
        assert http.trust_env is asked
