"""No route lets an auditor read what others do without writing it down.

`caller_with` records; these lists name every GET route that it does not record, and why.
"""

import ast
import asyncio

import pytest
from fastapi.routing import APIRoute

from exchange.app import build_app
from exchange.settings import Settings
from tests.support.sources import name, python, tree

# Anybody may read these: no caller is asked for.
PUBLIC = {
    "/",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/gateway",
    "/docs",
    "/docs/{name}",
    "/healthz",
    "/log/checkpoint",
    "/log/key",
    "/log/tile/{level}/{path:path}",
    "/oauth/jwks",
    "/oauth/register",  # answers GET with its problem: send POST
    "/oauth/token",  # likewise
    "/readyz",
}
# These ask for a grant token, which only its consumer gets.
BY_GRANT = {
    "/gateway/grants/{grant_id}",
    "/gateway/grants/{grant_id}/files/{name:path}",
    "/gateway/grants/{grant_id}/call/{path:path}",
}
# These show the caller's own affairs: `caller_with` takes every sight beyond from its caller.
OWN = {
    "/v1/connections",
    "/v1/connections/{connection_id}",
    "/v1/engagements",
    "/v1/engagements/{engagement_id}",
    "/v1/keys/master",
    "/v1/keys/token",
    "/v1/log/reads",
    "/v1/me",
    "/v1/organisations/{org_id}/client-invitations",
    "/v1/status-lists/{org_id}",
    "/v1/status-lists/{org_id}/events",
    "/v1/uploads",
    "/v1/uploads/{upload_id}",
    "/v1/webhooks",
    "/v1/webhooks/{webhook_id}",
}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Every route that answers GET or HEAD, with the callers that it depends on."""
    app = build_app(Settings(state_dir=tmp_path_factory.mktemp("routes") / "state"))

    async def started():
        async with app.router.lifespan_context(app):
            return list(of_the_api(app.routes))

    return {
        route.path: [call for call in calls(route.dependant) if hasattr(call, "own_affairs")]
        for route in asyncio.run(started())
        if route.methods & {"GET", "HEAD"}
    }


def of_the_api(routes):
    """The framework keeps a router's routes with the router."""
    for each in routes:
        if isinstance(each, APIRoute):
            yield each
        elif hasattr(each, "original_router"):
            yield from of_the_api(each.original_router.routes)


def calls(dependant):
    for each in dependant.dependencies:
        yield each.call
        yield from calls(each)


def test_a_read_is_recorded_or_exempt_by_name(routes):
    recorded = {path for path, by in routes.items() if any(not call.own_affairs for call in by)}
    own = {path for path, by in routes.items() if by and path not in recorded}
    nobodys = {path for path, by in routes.items() if not by}
    assert own == OWN
    assert nobodys == PUBLIC | BY_GRANT
    assert len(recorded) > 20
    assert {"/v1/log/entries", "/log/tile/entries/{path:path}", "/v1/grants"} <= recorded


def test_callers_are_made_out_in_one_place():
    """Whoever else turned a token into a caller would get round the record."""
    users = {
        name(path)
        for path in python("exchange/", "connectors/")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("authenticate", "record_read")
    }
    assert users == {"exchange/app.py", "exchange/http.py"}


def test_two_routes_of_one_kind_are_of_one_thing(routes):
    """A kind is a route's path without its parameters: a list and one of it share theirs."""
    from exchange.asked import kind_of

    kinds = {}
    for path in routes:
        kinds.setdefault(kind_of(path), []).append(path)
    for kind, paths in kinds.items():
        assert len({path.split("{")[0].rstrip("/") for path in paths}) == 1, kind
