"""What the application answers: no redirects, nothing kept by caches or told to the next site.

Over the real application with its guard.
"""

import contextlib

import httpx
import pytest
import pytest_asyncio

from exchange.app import build_app
from exchange.settings import Settings

SECRET = "planted-3f9a1c"
TAKES_TOKENS = ("/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/par")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(tmp_path_factory):
    app = build_app(Settings(state_dir=tmp_path_factory.mktemp("answers") / "state"))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def http(application):
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        *(f"{path}/" for path in TAKES_TOKENS),
        "/oauth/register/",
        "/oauth/jwks/",
        "/v1/offerings/",
        "/healthz/",
        "/.well-known/oauth-authorization-server/",
        "//evil.example/",
        "/\\evil.example/",
        "/v1/..//evil.example",
    ],
)
async def test_a_slash_more_is_no_redirect(http, path):
    """A redirect of the framework's would be made of the request's own Host."""
    for method in ("GET", "POST"):
        url = "http://127.0.0.1:8000" + path
        answer = await http.request(method, url, headers={"Host": "evil.example"})
        assert not answer.is_redirect
        assert "location" not in answer.headers
        assert answer.status_code in (400, 404, 405)


@pytest.mark.parametrize("path", TAKES_TOKENS)
async def test_answers_about_tokens_are_not_stored_and_no_referrer_leads_back(http, path):
    for form in ({}, {"client_id": "cli_x", "client_secret": SECRET, "token": SECRET}):
        answer = await http.post(path, data=form)
        assert answer.status_code in (400, 401)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert SECRET not in answer.text


async def test_problems_and_pages_send_no_referrer_and_are_in_no_frame(http):
    for path in ("/v1/me", "/nowhere", "/", "/docs", "/oauth/token"):
        answer = await http.get(path)
        assert answer.headers["referrer-policy"] == "no-referrer", path
        assert answer.headers["x-frame-options"] == "DENY", path
        if answer.status_code >= 400:
            assert answer.headers["cache-control"] == "no-store", path


async def test_no_credential_is_taken_from_a_url(http):
    """It would stand in histories, in logs and in the next site's Referer."""
    query = {"access_token": SECRET, "token": SECRET, "Authorization": f"Bearer {SECRET}"}
    answer = await http.get("/v1/me", params=query)
    assert (answer.status_code, answer.json()["type"][-13:]) == (401, "token_missing")
    assert SECRET not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "a/healthz?x=", "a/healthz#", "@evil.example"])
async def test_host_header_that_reads_like_another_path_cve_2026_48710(http, host):
    """It made `request.url.path` the path of a route that asks for no token."""
    answer = await http.get("/v1/me", headers={"Host": host})
    assert (answer.status_code, answer.json()["type"][-13:]) == (401, "token_missing")
    answer = await http.get("/.well-known/oauth-authorization-server", headers={"Host": host})
    assert answer.json()["issuer"] == "http://127.0.0.1:8000"


async def test_no_authorization_endpoint_yet_cve_2025_68158_and_2026_41425_and_44681_and_27124(
    http,
):
    """Login CSRF, open redirects and a consent that is not asked for need one. With it come the
    tests of each, in place of this one."""
    told = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert "authorization_endpoint" not in told
    assert told["response_types_supported"] == []
    for path in ("authorize", "oauth/authorize", "callback", "oauth/callback", "login", "consent"):
        for method in ("GET", "POST"):
            query = {"redirect_uri": "https://evil.example", "client_id": "x", "state": "x"}
            answer = await http.request(method, f"/{path}", params=query)
            assert (answer.status_code, "location" in answer.headers) == (404, False)
