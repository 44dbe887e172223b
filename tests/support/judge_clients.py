"""Clients and their invitations are what their leaves made them."""

import json
from typing import Any

REGISTERED = tuple(f"client.registered.v{n}" for n in (1, 2, 3))


def judge_clients(sql: Any, log: Any) -> None:
    """Each client has the status, the keys and the way of proof that its leaves say; likewise
    each invitation was used, withdrawn or neither."""
    status: dict[str, str] = {}
    kids: dict[str, list[str]] = {}
    proof: dict[str, tuple[str, bool]] = {}
    prints: dict[str, list[str]] = {}
    invitations: dict[str, tuple[str, str | None]] = {}
    for event in log.events:
        kind, data = event["type"].removeprefix("exchange."), event["data"]
        if not kind.startswith("client."):
            continue
        client = data.get("client_id")
        if kind in REGISTERED:
            assert client not in status
            status[client], kids[client] = data.get("status", "active"), data["key_ids"]
            method, bound = data.get("auth_method", "private_key_jwt"), data.get("dpop_bound")
            proof[client] = (method, bool(bound))
            if data.get("invitation_id"):
                assert invitations[data["invitation_id"]] == ("open", None)
                invitations[data["invitation_id"]] = ("used", client)
        elif kind == "client.invited.v1":
            invitations[data["invitation_id"]] = ("open", None)
        elif kind == "client.invitation_withdrawn.v1":
            assert invitations[data["invitation_id"]] == ("open", None)
            invitations[data["invitation_id"]] = ("withdrawn", None)
        elif kind in ("client.approved.v1", "client.rejected.v1"):
            assert status[client] == "pending"
            status[client] = "active" if kind == "client.approved.v1" else "rejected"
        elif kind == "client.disabled.v1":
            assert status[client] in ("active", "pending")
            status[client] = "disabled"
        elif kind == "client.keys_changed.v1":
            assert status[client] == "active"
            before = prints.get(client, data["thumbprints"])
            if client in prints:
                gone = [each for each in before if each not in data["removed"]]
                assert [*gone, *data["added"]] == data["thumbprints"]
            kids[client], prints[client] = data["key_ids"], data["thumbprints"]
        else:
            assert kind == "client.secret_replaced.v1"
            assert status[client] == "active"
            assert proof[client][0] != "private_key_jwt"
    for row in sql("SELECT id, status, jwks, auth_method, dpop_bound, secret_hash FROM clients"):
        client, now, jwks, method, bound, hashed = row
        jwks = json.loads(jwks) if isinstance(jwks, str) else jwks
        assert status.pop(client) == now, client
        assert [key["kid"] for key in jwks["keys"]] == kids[client]
        assert (method, bool(bound)) == proof[client]
        assert (hashed is None) == (method == "private_key_jwt")
    assert not status
    found = sql("SELECT id, status, client_id FROM client_invitations")
    assert {row[0]: (row[1], row[2]) for row in found} == invitations
