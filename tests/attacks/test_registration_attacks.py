"""Whoever would register a client that they should not have: through the public API alone."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from exchange.client.profile import Profile, jwks_of, new_profile
from exchange.client.session import Refusal, Session
from exchange.formats.tokens import generate_client_key
from tests.support.actors import SME_ATTRIBUTES, join, member, operator
from tests.support.server import ExchangeServer
from tests.support.story import DATABASES, assert_problem, exchange_on

METADATA, REFUSED = "invalid_client_metadata", {"invalid_client", "invalid_request"}


class Cast:
    def __init__(self, server: ExchangeServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=20)
        self.operator = operator(server.state)
        self.sme = join(self.operator, "Small Analytics", ["sme"], SME_ATTRIBUTES)
        self.other = join(self.operator, "Another", ["sme"], SME_ATTRIBUTES)
        self.owner = member(self.operator, self.sme, "Olga", ["owner"])
        self.stranger = member(self.operator, self.other, "Otto", ["owner"])

    def invite(self, by: Session | None = None, **more: Any) -> dict[str, Any]:
        path = f"/v1/organisations/{org(self.sme)}/client-invitations"
        made = (by or self.owner).post(path, more)
        assert isinstance(made, dict)
        return made

    def token(self, **more: Any) -> str:
        return str(self.invite(self.operator, **more)["initial_access_token"])

    def register(self, token: str | None, document: Any = None, **more: Any) -> httpx.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if document is None:
            document = {"jwks": jwks_of(new_profile("")), "dpop_bound_access_tokens": False}
        return self.http.post("/oauth/register", headers=headers, json=document | more)

    def session(self, profile: Profile, client_id: str) -> Session:
        return Session(
            replace(
                profile, url=self.server.url, client_id=client_id, organisation_id=org(self.sme)
            )
        )


@pytest.fixture(scope="module", params=DATABASES)
def cast(request, tmp_path_factory) -> Iterator[Cast]:
    with exchange_on(request.param, tmp_path_factory.mktemp("registration")) as server:
        made = Cast(server)
        with made.http:
            yield made


def org(session: Session) -> str:
    return session.profile.organisation_id


def refused(response: httpx.Response, error: str = METADATA, status: int = 400) -> str:
    assert response.status_code == status, response.text
    document = response.json()
    assert document["error"] == error, document
    assert response.headers["cache-control"] == "no-store"
    return str(document["error_description"])


def test_a_program_registers_and_waits_for_the_operator(cast):
    made, mine = cast.invite(), new_profile("")
    answer = cast.register(
        made["initial_access_token"],
        {"client_name": "Nightly 夜间", "jwks": jwks_of(mine), "dpop_bound_access_tokens": False},
        logo_uri="https://example.com/a.png",
        something_new={"a": [1]},
    )
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["status"], told["dpop_bound_access_tokens"]) == ("pending", False)
    assert told["token_endpoint_auth_method"] == "private_key_jwt"
    assert told["jwks"] == jwks_of(mine)
    assert told["client_name"] == "Nightly 夜间"
    assert not {"logo_uri", "something_new", "client_secret"} & told.keys()
    program = cast.session(mine, told["client_id"])
    assert refused_token(program) == "invalid_client"
    cast.operator.post(f"/v1/clients/{program.profile.client_id}/approve")
    assert program.get("/v1/me")["client"]["id"] == told["client_id"]


def refused_token(session: Session) -> str:
    with pytest.raises(Refusal) as caught:
        session.token()
    return str(caught.value.document["error"])


def test_a_client_that_waits_or_was_rejected_gets_no_token(cast):
    mine = new_profile("")
    answer = cast.register(cast.token(), {"jwks": jwks_of(mine), "dpop_bound_access_tokens": True})
    program = cast.session(mine, answer.json()["client_id"])
    assert refused_token(program) == "invalid_client"
    cast.operator.post(f"/v1/clients/{program.profile.client_id}/reject")
    assert refused_token(program) == "invalid_client"


def test_an_invitation_used_twice_at_once(cast):
    token = cast.token()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cast.register(token), range(8)))
    assert sorted(answer.status_code for answer in answers)[0] == 201
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert {answer.status_code for answer in answers} <= {201, 401, 503}


def test_no_token_another_kind_of_token_and_a_guess_are_refused(cast):
    answer = cast.register(None)
    refused(answer, "invalid_token", 401)
    assert answer.headers["www-authenticate"] == "Bearer"
    guesses = ["dsi_" + "A" * 43, "x", cast.operator.core.assertion()]
    guesses += [made["invitation"]["id"] for made in [cast.invite()]]
    for guess in guesses:
        answer = cast.register(guess)
        refused(answer, "invalid_token", 401)
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    for scheme in ("Basic", "DPoP"):
        answer = cast.http.post(
            "/oauth/register",
            headers={"Authorization": f"{scheme} {cast.token()}"},
            json={"jwks": jwks_of(new_profile(""))},
        )
        refused(answer, "invalid_token", 401)


def test_an_invitation_makes_a_client_of_its_own_organisation_only(cast):
    """Naming another does nothing; nor does anybody invite into another's, list or withdraw it."""
    mine = {"jwks": jwks_of(new_profile("")), "organisation_id": org(cast.other)}
    told = cast.register(cast.token(), mine | {"org_id": org(cast.other)}).json()
    assert told["organisation_id"] == org(cast.sme)
    made = cast.invite()
    path = f"/v1/organisations/{org(cast.sme)}/client-invitations"
    for act in (
        lambda: cast.stranger.post(path, {}),
        lambda: cast.stranger.get(path),
        lambda: cast.stranger.post(f"/v1/client-invitations/{made['invitation']['id']}/withdraw"),
        lambda: cast.stranger.post(f"/v1/clients/{told['client_id']}/approve"),
        lambda: cast.owner.post(f"/v1/clients/{told['client_id']}/approve"),
    ):
        with pytest.raises(Refusal) as caught:
            act()
        assert caught.value.status in (403, 404)


def test_an_owner_allows_what_only_the_operator_may(cast):
    for more in ({"approved": True}, {"secrets": True}):
        with pytest.raises(Refusal) as caught:
            cast.invite(**more)
        assert caught.value.code == "operator_only"
    token = cast.invite()["initial_access_token"]
    for method in ("client_secret_basic", "client_secret_post"):
        told = refused(cast.register(token, {"token_endpoint_auth_method": method}))
        assert "secret" in told
    by_secret = {"name": "n", "token_endpoint_auth_method": "client_secret_post"}
    by_grant = {"name": "n", "token_endpoint_auth_method": "jwt_bearer", "jwks": GOOD}
    for body in (by_secret, by_grant):
        with pytest.raises(Refusal) as caught:
            cast.owner.post(f"/v1/organisations/{org(cast.sme)}/clients", body)
        assert caught.value.code == "secret_not_allowed"


JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PRIVATE = {"keys": [generate_client_key()]}
GOOD = jwks_of(new_profile(""))
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "private key": ({"jwks": PRIVATE}, METADATA),
    "symmetric key": ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, METADATA),
    "no keys": ({"jwks": {"keys": []}}, METADATA),
    "nine keys": ({"jwks": {"keys": GOOD["keys"] * 9}}, METADATA),
    "jwks of no kind": ({"jwks": "x"}, METADATA),
    "no jwks": ({"client_name": "x"}, METADATA),
    "jwks_uri": ({"jwks_uri": "http://169.254.169.254/"}, METADATA),
    "jwks_uri beside jwks": ({"jwks": GOOD, "jwks_uri": "https://example.com/k"}, METADATA),
    "request_uris": ({"jwks": GOOD, "request_uris": ["https://example.com/r"]}, METADATA),
    "sector": ({"jwks": GOOD, "sector_identifier_uri": "https://example.com/s"}, METADATA),
    "software": ({"jwks": GOOD, "software_statement": "e.e.e"}, "unapproved_software_statement"),
    "redirect": ({"jwks": GOOD, "redirect_uris": ["https://a.example"]}, "invalid_redirect_uri"),
    "no method": ({"jwks": GOOD, "token_endpoint_auth_method": "none"}, METADATA),
    "secret jwt": ({"token_endpoint_auth_method": "client_secret_jwt"}, METADATA),
    "tls": ({"jwks": GOOD, "tls_client_auth_subject_dn": "CN=a"}, METADATA),
    "method of no kind": ({"jwks": GOOD, "token_endpoint_auth_method": ["none"]}, METADATA),
    "own secret": ({"jwks": GOOD, "client_secret": "hunter2"}, METADATA),
    "own id": ({"jwks": GOOD, "client_id": "cli_" + "0" * 26}, METADATA),
    "grant as method": ({"jwks": GOOD, "token_endpoint_auth_method": "jwt_bearer"}, METADATA),
    "jwt bearer": ({"jwks": GOOD, "grant_types": [JWT_BEARER]}, METADATA),
    "code": ({"jwks": GOOD, "grant_types": ["authorization_code"]}, METADATA),
    "implicit": ({"jwks": GOOD, "response_types": ["token"]}, METADATA),
    "password": ({"jwks": GOOD, "grant_types": ["client_credentials", "password"]}, METADATA),
    "scope of others": ({"jwks": GOOD, "scope": "operate"}, METADATA),
    "scope of less": ({"jwks": GOOD, "scope": "catalog"}, METADATA),
    "scope of people": ({"jwks": GOOD, "scope": "members approvals"}, METADATA),
    "bound as a text": ({"jwks": GOOD, "dpop_bound_access_tokens": "false"}, METADATA),
    "name of two lines": ({"jwks": GOOD, "client_name": "a\nb"}, METADATA),
    "name that turns": ({"jwks": GOOD, "client_name": "a\u202eb"}, METADATA),
    "hmac": ({"jwks": GOOD, "token_endpoint_auth_signing_alg": "HS256"}, METADATA),
    "alg of no key": ({"jwks": GOOD, "token_endpoint_auth_signing_alg": "PS256"}, METADATA),
}


def test_bad_metadata_is_refused_and_spends_nothing(cast):
    token = cast.token()
    for what, (document, error) in BAD.items():
        told = refused(cast.register(token, document), error)
        assert "hunter2" not in told, what
        assert "169.254" not in told, what
    bodies = [b"", b"[]", b"null", b'"x"', b"{", b'{"a":1,"a":2}', b"[" * 5000, b"\xff"]
    for body in bodies:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        refused(cast.http.post("/oauth/register", content=body, headers=headers))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        refused(cast.http.post("/oauth/register", content=body, headers=headers))
    answer = cast.register(token)
    assert answer.status_code == 201, answer.text
    for method in ("GET", "PUT", "DELETE"):
        wrong = cast.http.request(method, "/oauth/register")
        assert_problem(wrong, 405, "method_not_allowed")


def test_a_secret_is_shown_once_and_stands_in_no_log(cast):
    token = cast.token(secrets=True, approved=True)
    answer = cast.register(token, {"token_endpoint_auth_method": "client_secret_basic"})
    told = answer.json()
    assert (told["client_secret_expires_at"], told["status"]) == (0, "active")
    assert told["dpop_bound_access_tokens"] is True
    assert "jwks" not in told
    secret, client = told["client_secret"], told["client_id"]
    replaced = cast.owner.post(f"/v1/clients/{client}/secret")["client_secret"]
    body = {"name": "n", "token_endpoint_auth_method": "client_secret_post"}
    path = f"/v1/organisations/{org(cast.sme)}/clients"
    third = cast.operator.post(path, body)["client_secret"]
    shown = json.dumps([*cast.operator.pages("/v1/clients"), *cast.operator.pages(path)])
    shown += json.dumps(list(cast.operator.pages(path.replace("/clients", "/client-invitations"))))
    shown += json.dumps(list(cast.operator.pages("/v1/log/entries"))) + cast.server.log()
    for each in (secret, replaced, third, token):
        assert len(each) == 47
        assert each not in shown
    with pytest.raises(Refusal) as caught:
        cast.stranger.post(f"/v1/clients/{client}/secret")
    assert caught.value.status == 404


def test_a_removed_key_is_refused_from_the_next_request_on(cast):
    """Its assertion, and one that was made before; the other key goes on. Never the last one."""
    old, new = new_profile(""), new_profile("")
    body = {"name": "rotating", "jwks": jwks_of(old), "program": True}
    made = cast.operator.post(f"/v1/organisations/{org(cast.sme)}/clients", body)
    first, second = cast.session(old, made["id"]), cast.session(new, made["id"])
    assert refused_token(second) == "invalid_client"
    keys = f"/v1/clients/{made['id']}/keys"
    first.post(keys, {"jwk": jwks_of(new)["keys"][0]})
    assert second.get("/v1/me")["client"]["id"] == made["id"]
    second.request("DELETE", f"{keys}/{made['key_thumbprints'][0]}")
    assert refused_token(cast.session(old, made["id"])) == "invalid_client"
    with pytest.raises(Refusal) as caught:
        second.request("DELETE", f"{keys}/{jwks_of(new)['keys'][0]['kid']}")
    assert caught.value.code == "last_key"
    with pytest.raises(Refusal) as caught:
        second.post(keys, {"jwk": generate_client_key()})
    assert caught.value.code == "jwks_invalid"


def test_a_key_takes_the_name_of_another(cast):
    mine, evil = new_profile(""), new_profile("")
    body = {"name": "named", "jwks": jwks_of(mine), "program": True}
    made = cast.operator.post(f"/v1/organisations/{org(cast.sme)}/clients", body)
    path = f"/v1/clients/{made['id']}/keys"
    key = jwks_of(evil)["keys"][0] | {"kid": jwks_of(mine)["keys"][0]["kid"]}
    with pytest.raises(Refusal) as caught:
        cast.operator.post(path, {"jwk": key})
    assert caught.value.code == "key_id_taken"
    twin = jwks_of(mine)["keys"][0] | {"kid": "another name"}
    with pytest.raises(Refusal) as caught:
        cast.operator.post(path, {"jwk": twin | {"kid": "twin"}})
    assert caught.value.code == "key_registered"
