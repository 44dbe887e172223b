"""Good requests about clients. An organisation has so many at most: spare ones are used again."""

from collections.abc import Callable
from typing import Any

import httpx

from exchange.client.profile import jwks_of, new_profile
from exchange.client.session import Session
from tests.support.story import World

Send = Callable[..., httpx.Response]
Good = Callable[[World, Send], httpx.Response]


def org(session: Session) -> str:
    return session.profile.organisation_id


def keys() -> dict[str, Any]:
    return jwks_of(new_profile(""))


def key() -> dict[str, Any]:
    found: dict[str, Any] = keys()["keys"][0]
    return found


def _spare(world: World, name: str, status: str = "active", most_keys: int = 8) -> dict | None:
    found = (
        each
        for each in world.operator.pages(f"/v1/organisations/{org(world.sme)}/clients")
        if (each["name"], each["status"]) == (name, status)
        and len(each["key_thumbprints"]) <= most_keys
    )
    return next(found, None)


def _made(world: World, name: str, most_keys: int = 8, **more: Any) -> dict:
    """A client of the SME's that was made for such requests."""
    body = {"name": name, "jwks": keys()} if not more else {"name": name, **more}
    path = f"/v1/organisations/{org(world.sme)}/clients"
    made = _spare(world, name, most_keys=most_keys) or world.operator.post(path, body)
    assert isinstance(made, dict)
    return made


def invite(world: World, org_id: str, **more: Any) -> dict[str, Any]:
    made = world.operator.post(f"/v1/organisations/{org_id}/client-invitations", more)
    assert isinstance(made, dict)
    return made


def spare_invitation(world: World) -> str:
    """An open invitation of the SME's, to be withdrawn."""
    path = f"/v1/organisations/{org(world.sme)}/client-invitations"
    spare = (each["id"] for each in world.operator.pages(path) if each["status"] == "open")
    return next(spare, None) or invite(world, org(world.sme))["invitation"]["id"]


def register(world: World, token: str, **more: Any) -> httpx.Response:
    return httpx.post(
        world.server.url + "/oauth/register",
        headers={"Authorization": f"Bearer {token}"},
        json={"client_name": "pending", "jwks": keys(), **more},
    )


def _pending(world: World) -> str:
    waiting = _spare(world, "pending", "pending")
    if waiting is not None:
        return str(waiting["id"])
    answer = register(world, invite(world, org(world.sme))["initial_access_token"])
    assert answer.status_code == 201, answer.text
    return str(answer.json()["client_id"])


class Invitations:
    """Tokens that are open whenever one is asked for, made as seldom as can be."""

    def __init__(self, world: World) -> None:
        self.world, self._kept = world, {"id": "", "token": ""}

    def headers(self) -> dict[str, str]:
        path = f"/v1/organisations/{org(self.world.rival)}/client-invitations"
        still_open = {i["id"] for i in self.world.operator.pages(path) if i["status"] == "open"}
        if self._kept["id"] not in still_open:
            made = invite(self.world, org(self.world.rival), secrets=True)
            self._kept = {"id": made["invitation"]["id"], "token": made["initial_access_token"]}
        return {"Authorization": f"Bearer {self._kept['token']}"}


def _register(world: World, send: Send) -> httpx.Response:
    token = invite(world, org(world.rival), approved=True)["initial_access_token"]
    return send(
        "nobody",
        "/oauth/register",
        headers={"Authorization": f"Bearer {token}"},
        json={
            "client_name": "invited",
            "jwks": keys(),
            "token_endpoint_auth_method": "private_key_jwt",
            "dpop_bound_access_tokens": False,
        },
    )


def _client(world: World, send: Send) -> httpx.Response:
    body = {"name": "nightly import", "jwks": keys()}
    return send("sme", f"/v1/organisations/{org(world.sme)}/clients", json=body)


def _of_a_spare(who: str, verb: str) -> Good:
    def request(world: World, send: Send) -> httpx.Response:
        return send(who, f"/v1/clients/{_made(world, 'to be disabled')['id']}{verb}")

    return request


def _decide(verb: str) -> Good:
    return lambda w, send: send("operator", f"/v1/clients/{_pending(w)}/{verb}")


def _add_key(world: World, send: Send) -> httpx.Response:
    client = _made(world, "to be rotated", most_keys=7)["id"]
    return send("operator", f"/v1/clients/{client}/keys", json={"jwk": key()})


def _remove_key(world: World, send: Send) -> httpx.Response:
    client = _made(world, "to lose a key")
    if len(client["key_thumbprints"]) < 2:
        client = world.operator.post(f"/v1/clients/{client['id']}/keys", {"jwk": key()})
    return send("operator", f"/v1/clients/{client['id']}/keys/{client['key_thumbprints'][0]}")


def _secret(world: World, send: Send) -> httpx.Response:
    method = "client_secret_basic"
    client = _made(world, "with a secret", token_endpoint_auth_method=method)["id"]
    return send("operator", f"/v1/clients/{client}/secret")


CLIENTS: dict[str, Good] = {
    "POST /oauth/register": _register,
    "POST /v1/organisations/{org_id}/clients": _client,
    "GET /v1/organisations/{org_id}/clients": lambda w, send: send(
        "sme", f"/v1/organisations/{org(w.sme)}/clients"
    ),
    "GET /v1/clients": lambda w, send: send("operator", "/v1/clients?status=active&limit=2"),
    "GET /v1/clients/{client_id}": lambda w, send: send(
        "sme", f"/v1/clients/{w.sme.profile.client_id}"
    ),
    "POST /v1/clients/{client_id}/disable": _of_a_spare("sme", "/disable"),
    "POST /v1/clients/{client_id}/approve": _decide("approve"),
    "POST /v1/clients/{client_id}/reject": _decide("reject"),
    "POST /v1/clients/{client_id}/keys": _add_key,
    "DELETE /v1/clients/{client_id}/keys/{thumbprint}": _remove_key,
    "POST /v1/clients/{client_id}/secret": _secret,
    "POST /v1/organisations/{org_id}/client-invitations": lambda w, send: send(
        "operator", f"/v1/organisations/{org(w.sme)}/client-invitations", json={"days": 3}
    ),
    "GET /v1/organisations/{org_id}/client-invitations": lambda w, send: send(
        "operator", f"/v1/organisations/{org(w.sme)}/client-invitations?limit=2"
    ),
    "POST /v1/client-invitations/{invitation_id}/withdraw": lambda w, send: send(
        "operator", f"/v1/client-invitations/{spare_invitation(w)}/withdraw"
    ),
}
