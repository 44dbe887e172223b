"""Input that only an attacker sends: broken JSON, odd strings, forged hosts, foreign methods.

The same on each database: PostgreSQL refuses strings that SQLite takes.
"""

import json

import httpx
import pytest

from exchange.client.profile import jwks_of, new_profile
from tests.support.actors import TERMS
from tests.support.story import (
    DATABASES,
    World,
    alive,
    assert_problem,
    call,
    exchange_on,
    make_world,
    post_raw,
)
from tests.support.wire import head, talk

HEAD = 4096


@pytest.fixture(scope="module", params=DATABASES)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("odd")
    with exchange_on(request.param, folder, header_bytes=HEAD, body_bytes=16384) as server:
        yield make_world(server)


# ---- JSON ---------------------------------------------------------------------------------------

ASKED = '{"offering_id": "OFFERING", "purpose": "scientific_research", "days": 3}'
BROKEN = {
    "empty": b"",
    "nothing": b"   ",
    "not an object": b"[1]",
    "null": b"null",
    "cut": b'{"offering_id": "off_',
    "two values": b"{}{}",
    "trailing comma": b'{"days": 1,}',
    "comment": b'{/* */"days": 1}',
    "single quotes": b"{'days': 1}",
    "byte order mark": b"\xef\xbb\xbf" + ASKED.encode(),
    "utf-16": ASKED.encode("utf-16"),
    "utf-32": ASKED.encode("utf-32-le"),
    "latin-1": b'{"purpose": "\xe9"}',
    "overlong utf-8": b'{"purpose": "\xc0\xaf"}',
    "surrogate in utf-8": b'{"purpose": "\xed\xa0\x80"}',
    "deep array": b'{"actions": ' + b"[" * 3000 + b"]" * 3000 + b"}",
    "deep object": b'{"a":' * 1500 + b"1" + b"}" * 1500,
    "moderately deep": b'{"a":' * 200 + b"1" + b"}" * 200,
    "name twice": ASKED.replace('"days": 3', '"days": 3, "days": 90').encode(),
    "name twice, inside": b'{"jwks": {"keys": [], "keys": []}}',
    "NaN": ASKED.replace("3}", "NaN}").encode(),
    "Infinity": ASKED.replace("3}", "-Infinity}").encode(),
    "1e400": ASKED.replace("3}", "1e400}").encode(),
    "float": ASKED.replace("3}", "3.0}").encode(),
    "text": ASKED.replace("3}", '"3"}').encode(),
    "true": ASKED.replace("3}", "true}").encode(),
    "huge": ASKED.replace("3}", "9" * 4000 + "}").encode(),
    "huger": ASKED.replace("3}", "9" * 6000 + "}").encode(),
    "2^63": ASKED.replace("3}", f"{2**63}}}").encode(),
    "negative": ASKED.replace("3}", "-3}").encode(),
    "lone surrogate": ASKED.replace("scientific_research", "\\ud800").encode(),
    "lone surrogate as a name": b'{"\\ud800": 1}',
    "lone surrogate in what may be anything": b'{"name": "n", "jwks": {"keys": ["\\udfff"]}}',
    "NUL": ASKED.replace("scientific_research", "\\u0000").encode(),
    "NUL as a name": b'{"\\u0000": 1}',
    "raw NUL": b'{"purpose": "\x00"}',
    "unknown member": ASKED.replace('"days"', '"more": {}, "days"').encode(),
    "proto": b'{"__proto__": {"x": 1}, "constructor": 1}',
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_on_every_route_that_takes_json(world: World, name: str):
    body = BROKEN[name].replace(b"OFFERING", world.offering["id"].encode())
    org = world.sme.profile.organisation_id
    for role, method, path in (
        ("operator", "POST", "/v1/organisations"),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/headcount"),
        ("sme", "POST", f"/v1/organisations/{org}/clients"),
        ("platform", "POST", "/v1/offerings"),
        ("platform", "PUT", f"/v1/offerings/{world.spare_offering['id']}"),
        ("sme", "POST", "/v1/access-requests"),
        ("platform", "POST", f"/v1/grants/{world.grant_id}/revoke"),
    ):
        refused = post_raw(world, role, path, body, method)
        assert refused.status_code in (400, 422), (path, refused.status_code, refused.text)
        assert_problem(refused)
    alive(world)


def test_the_well_formed_twin_of_the_broken_bodies_is_taken(world: World):
    """So that the refusals above are for what is broken, and for nothing else."""
    body = ASKED.replace("OFFERING", world.offering["id"]).encode()
    assert post_raw(world, "sme", "/v1/access-requests", body).status_code in (200, 201)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ";;;"]
)
def test_a_body_of_another_type_is_refused(world: World, kind: str):
    body = ASKED.replace("OFFERING", world.offering["id"]).encode()
    headers = {"Content-Type": kind} if kind else {}
    refused = call(world, "sme", "POST", "/v1/access-requests", content=body, headers=headers)
    document = assert_problem(refused, 415, "media_type")
    assert "application/json" in document["hint"]


# ---- strings that a database or a terminal stumbles over ----------------------------------------

NASTY = {
    "NUL": "a\x00b",
    "escape": "a\x1b[31mb",
    "newline": "a\nb",
    "delete": "a\x7fb",
    "8-bit CSI": "a\x9b31mb",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202eb",
    "isolate": "a\u2066b",
}


@pytest.mark.parametrize("name", NASTY)
def test_no_stored_string_takes_control_characters(world: World, name: str):
    nasty = NASTY[name]
    org = world.sme.profile.organisation_id
    organisation = {"name_en": "N", "name_zh": "N", "roles": ["sme"]}
    jwks = jwks_of(new_profile(""))
    kid = {"keys": [jwks["keys"][0] | {"kid": nasty}]}
    for role, method, path, body in (
        ("operator", "POST", "/v1/organisations", organisation | {"name_en": nasty}),
        ("operator", "POST", "/v1/organisations", organisation | {"name_zh": nasty}),
        (
            "operator",
            "POST",
            "/v1/organisations",
            organisation | {"attributes": {"jurisdiction": nasty}},
        ),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/jurisdiction", {"value": nasty}),
        ("sme", "PUT", f"/v1/organisations/{org}/attributes/industry", {"value": nasty}),
        ("sme", "POST", f"/v1/organisations/{org}/clients", {"name": nasty, "jwks": jwks}),
        ("sme", "POST", f"/v1/organisations/{org}/clients", {"name": "n", "jwks": kid}),
        ("platform", "POST", "/v1/offerings", TERMS | {"title_en": nasty}),
        ("platform", "POST", "/v1/offerings", TERMS | {"title_zh": nasty}),
        ("platform", "POST", "/v1/offerings", TERMS | {"purposes": [nasty]}),
        ("platform", "POST", "/v1/offerings", TERMS | {"jurisdictions": [nasty]}),
        (
            "platform",
            "POST",
            "/v1/offerings",
            TERMS | {"source": {"connector": "files", "path": nasty}},
        ),
        (
            "sme",
            "POST",
            "/v1/access-requests",
            {"offering_id": world.offering["id"], "purpose": nasty, "days": 1},
        ),
    ):
        assert_problem(call(world, role, method, path, json=body), 422)
    if name != "newline":  # a description has lines
        for member in ("description_en", "description_zh"):
            refused = call(world, "platform", "POST", "/v1/offerings", json=TERMS | {member: nasty})
            assert_problem(refused, 422)
    alive(world)


@pytest.mark.parametrize(
    "name", ["%00", "a%00.bin", "%2e%2e", "..", "a%2fb", ".hidden", "%ff", "é"]
)
def test_no_file_takes_a_nasty_name(world: World, name: str):
    refused = call(world, "platform", "PUT", f"/v1/files/{name}", content=b"x")
    assert refused.status_code in (404, 405, 422)
    assert_problem(refused)


@pytest.mark.parametrize("key", ["", "a b", "\xe9", "x" * 129])
def test_odd_idempotency_keys(world: World, key: str):
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = call(world, "platform", "POST", "/v1/offerings", json=TERMS, headers=headers)
    assert_problem(refused, 422)


# ---- hosts and methods --------------------------------------------------------------------------


def test_a_forged_host_changes_no_url(world: World):
    port = world.server.port
    token = world.role("grant token")["Authorization"]
    for path, lines in (
        ("/", []),
        ("/.well-known/oauth-authorization-server", []),
        ("/docs", []),
        ("/openapi.json", []),
        ("/v1/offerings/", []),
        ("/healthz/", []),
        (f"/gateway/grants/{world.grant_id}", [f"Authorization: {token}"]),
    ):
        forged = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", *lines]
        forged.append("Forwarded: host=evil.example;proto=https")
        answer = talk(port, head("GET", path, *forged, host="evil.example"))
        assert "evil" not in json.dumps(answer.headers) + answer.body.decode()
    metadata = httpx.get(
        world.server.url + "/.well-known/oauth-authorization-server",
        headers={"Host": "evil.example"},
    ).json()
    assert metadata["issuer"] == world.server.url
    listed = call(
        world, "grant token", "GET", f"/gateway/grants/{world.grant_id}", headers={"Host": "evil"}
    ).json()
    assert all(item["url"].startswith(world.server.url) for item in listed["objects"])


@pytest.mark.parametrize(
    "method",
    ["HEAD", "OPTIONS", "TRACE", "PATCH", "DELETE", "PUT", "PROPFIND", "MKCOL", "PURGE", "LOCK"],
)
def test_methods_that_a_route_does_not_have(world: World, method: str):
    for path in ("/v1/grants", "/healthz", "/log/checkpoint", "/", "/openapi.json", "/docs"):
        if method == "HEAD" and path == "/openapi.json":
            continue  # the framework's own route has it
        answer = talk(world.server.port, head(method, path), has_body=method != "HEAD")
        assert answer.status == 405, (method, path, answer)
        assert answer.headers["content-type"] == "application/problem+json"
        assert "GET" in answer.headers["allow"]
        if method != "HEAD":
            answer.problem(405, "method_not_allowed")
    refused = talk(world.server.port, head(method, "/oauth/token"), has_body=method != "HEAD")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/v1", "/v1/", "/v1/grants/", "//", "/log/tile", "/docs/x", "/docs/..%2f", "/%00"],
)
def test_unknown_routes(world: World, path: str):
    answer = talk(world.server.port, head("GET", path))
    answer.problem(404, "route_unknown")
    assert answer.headers["x-request-id"] == json.loads(answer.body)["request_id"]


def test_a_websocket_is_not_opened(world: World):
    answer = talk(
        world.server.port,
        head(
            "GET",
            "/v1/grants",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    )
    assert answer.status in (400, 401, 403, 404, 426)
    alive(world)


def test_every_answer_carries_its_id_and_the_security_headers(world: World):
    for role, method, path in (
        ("nobody", "GET", "/"),
        ("nobody", "GET", "/openapi.json"),
        ("nobody", "GET", "/nothing"),
        ("nobody", "GET", "/v1/grants"),
        ("sme", "GET", "/v1/grants"),
        ("nobody", "POST", "/oauth/token"),
        ("nobody", "GET", "/healthz?" + "x" * HEAD),
    ):
        headers = call(world, role, method, path).headers
        assert len(headers["x-request-id"]) == 16
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_the_log_tells_of_no_failure(world: World):
    """Last in this file: all of the above met no unexpected error."""
    lines = [json.loads(line) for line in world.server.log().splitlines()]
    assert not [line for line in lines if line["event"] == "unexpected_error"]
    assert not [line for line in lines if line.get("status") == 500]
    assert not [line for line in lines if "ASGI" in line["event"]]
