"""Change what a client proves itself with: its keys, one by one, or its secret.

Keys stand side by side, so a new one is added, used, and the old one then removed. What is removed
is refused from the commit on, on every worker: a token request names the rev of the client.
"""

from collections.abc import Callable, Mapping
from typing import Any

from exchange.errors import Conflict, Forbidden, NotFound
from exchange.formats.jwk import MAX_KEYS, thumbprint
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Update, Write
from exchange.participants.model import BY_SECRET, Client
from exchange.participants.secrets import NewSecret
from exchange.participants.store import CLIENTS, Participants, acting

Key = Mapping[str, Any]
Keys = tuple[Key, ...]


def with_key(keys: Keys, key: Key) -> Keys:
    """Return the keys with one more at the end, or as they are if it is there; raises Conflict.

    No two keys share an id, and no key has two: an assertion must point to one key only.
    """
    for each in keys:
        same_id, same_key = each["kid"] == key["kid"], thumbprint(each) == thumbprint(key)
        if same_id and same_key:
            return keys
        if same_id:
            raise Conflict("key_id_taken", "Another key of this client has this kid.")
        if same_key:
            raise Conflict("key_registered", "This client has this key by another kid.")
    if len(keys) >= MAX_KEYS:
        raise Conflict(
            "too_many_keys", f"A client has at most {MAX_KEYS} keys.", hint="Remove one first."
        )
    return (*keys, key)


def without_key(keys: Keys, name: str) -> Keys:
    """Return the keys without the one of this thumbprint; raises NotFound, or Conflict."""
    kept = tuple(each for each in keys if thumbprint(each) != name)
    if len(kept) == len(keys):
        raise NotFound("key_unknown", "This client has no key of this thumbprint (RFC 7638).")
    if not kept:
        raise Conflict(
            "last_key",
            "A client keeps at least one key.",
            hint="Add the new one first, or disable the client.",
        )
    return kept


async def add_key(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str, key: Key
) -> Client:
    """Add a public key: the client itself, the person whose it is, for a program an owner too.

    Whoever adds a key to a person's client could act as that person, so nobody else may: four eyes
    are two people's. The operator adds keys of programs.
    """

    def check(client: Client) -> None:
        _may_change(caller, client)
        if client.member_id is not None and client.member_id != caller.member_id:
            raise Forbidden(
                "person_only",
                "Only the person whose client it is adds keys to it.",
                hint="You may remove a key, or disable the client.",
            )

    return await _change(
        ledger, participants, caller, client_id, check, lambda keys: with_key(keys, key)
    )


async def remove_key(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str, name: str
) -> Client:
    """Remove a key by its thumbprint: who may add one, and owners and the operator any.

    From the commit on nothing that it signs is accepted. Tokens that were given before end by
    themselves, within minutes.
    """

    def check(client: Client) -> None:
        _may_change(caller, client)

    return await _change(
        ledger, participants, caller, client_id, check, lambda keys: without_key(keys, name)
    )


async def _change(
    ledger: Ledger,
    participants: Participants,
    caller: Caller,
    client_id: str,
    check: Callable[[Client], None],
    change: Callable[[Keys], Keys],
) -> Client:
    async def build() -> Write:
        current = await participants.client(client_id)
        check(current)
        _must_be_active(current)
        if current.auth_method in BY_SECRET:
            raise Conflict("client_has_no_keys", "This client authenticates by a secret.")
        before: Keys = tuple(current.jwks["keys"])
        after = change(before)
        if after == before:
            return Write(reads={(CLIENTS, client_id): current.rev})
        event = _keys_changed(ledger, current, before, after, by=caller.client_id)
        update = Update(CLIENTS, client_id, current.rev, {"jwks": {"keys": list(after)}})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await participants.client(client_id)


def _keys_changed(ledger: Ledger, client: Client, before: Keys, after: Keys, *, by: str) -> Event:
    was, now = [thumbprint(each) for each in before], [thumbprint(each) for each in after]
    data = {
        "client_id": client.id,
        "organisation_id": client.org_id,
        "key_ids": [each["kid"] for each in after],
        "thumbprints": now,
        "added": [each for each in now if each not in was],
        "removed": [each for each in was if each not in now],
        "by": by,
    }
    return ledger.event("client.keys_changed.v1", client.id, data, consumer_id=client.org_id)


async def replace_secret(
    ledger: Ledger, participants: Participants, caller: Caller, client_id: str, made: NewSecret
) -> Client:
    """Give a client another secret, as an owner or the operator; the one before ends at once."""

    async def build() -> Write:
        current = await participants.client(client_id)
        if current.id == caller.client_id and not caller.operates:
            raise Forbidden("member_role_missing", "An owner or the operator replaces secrets.")
        _may_change(caller, current)
        _must_be_active(current)
        if current.auth_method not in BY_SECRET:
            raise Conflict("client_has_no_secret", "This client authenticates by its keys.")
        event = ledger.event(
            "client.secret_replaced.v1",
            client_id,
            {"client_id": client_id, "organisation_id": current.org_id, "by": caller.client_id},
            consumer_id=current.org_id,
        )
        update = Update(CLIENTS, client_id, current.rev, {"secret_hash": made.hash})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await participants.client(client_id)


def _may_change(caller: Caller, client: Client) -> None:
    """Raise Forbidden unless it is the client, the person whose it is, an owner, the operator."""
    if caller.operates and "operate" in caller.scopes:
        return
    if client.org_id != caller.org_id:
        raise NotFound("client_unknown", "No such client.")
    own = client.member_id is not None and caller.member_id == client.member_id
    owns = caller.member_id is not None and "owner" in caller.member_roles
    if not (own or owns or caller.client_id == client.id):
        raise Forbidden(
            "member_role_missing",
            "A client is changed by itself, by the person whose it is, an owner or the operator.",
        )


def _must_be_active(client: Client) -> None:
    if client.status != "active":
        raise Conflict("client_not_active", f"This client is {client.status}.")
