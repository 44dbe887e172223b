"""The gateway's critical path: from a request's headers to what it may have. Fails closed.

    1. shown        one Authorization header, of one token
    2. token        signature, issuer, audience (this connector) and lifetime, checked locally; the
                    proof of the key that it is bound to, for this very request (RFC 9449)
    3. grant        the token is for the grant that the path names, and for what is asked to be done
    4. list         the platform's status list says valid, where this gateway follows one
    5. look up      the exchange's word on what the grant allows now
    6. client       the token's client and organisation are the grant's, and it got the token with
                    a key or a secret that is still its own
    7. status       the grant is active and not past its end
    8. obligations  each is one that this gateway enforces
    9. object       the grant's offering has an object of that name

The first check that fails ends the walk, as a GatewayProblem. What holds here may have ended a
moment later: `Door.record` rechecks the grant's rev before anything is delivered.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.gateway.door import (
    Delivery,
    Door,
    DoorRefused,
    DoorUnavailable,
    FileObject,
    UsedProof,
)
from connectors.gateway.issuer_keys import Keys, Learn, with_keys
from connectors.gateway.problems import BadToken, GatewayProblem, NotHere, NotNow, Refused
from connectors.gateway.status import StatusSource, check_status
from exchange.formats.dpop import MAX_AGE, Proof, ProofRefused
from exchange.formats.shown import Nonces, Replays, Shown, check_shown
from exchange.formats.tokens import GrantToken, KeySet, TokenRefused, verify_grant_token

KNOWN_OBLIGATIONS: Final = frozenset(
    {"days", "sessions", "calls", "calls_per_minute", "bytes", "concurrent", "paths"}
)
"""What this gateway and its door enforce: `days` by the grant's end, `paths` before a call is
forwarded (call_rules.py), the others where the door records.
"""

OF_FILES: Final = KNOWN_OBLIGATIONS - {"calls", "paths"}
"""What is enforced where files are fetched; what speaks of calls would go unheeded there."""

MAX_TOKEN: Final = 8192
"""Longest token, in characters."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the gateway believes, and who it is: settings, never a request's headers.

    `audience` is this connector's registered URL; `clock` gives UTC milliseconds; `nonces` are
    those of proofs; `revoked` are the `jti` of tokens that were given up. `status` is asked where
    the door reads no rows; the mounted gateway's does. `learn` reads the keys anew where they come
    from elsewhere (issuer_keys.py): a token may name one that was made since.
    """

    door: Door
    keys: Keys
    nonces: Nonces
    issuer: str
    audience: str
    clock: Callable[[], int]
    status: StatusSource | None = None
    replays: Replays = field(default_factory=Replays)
    revoked: Container[str] = ()
    learn: Learn | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """What of a request decides: every Authorization and DPoP header, and what is asked for.

    `path` is as it was sent, below the connector's URL; `action` is what it would do.
    """

    authorization: Sequence[str]
    proofs: Sequence[str]
    method: str
    path: str
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the grant allows, and the proof that a use of it takes along."""

    delivery: Delivery
    proof: UsedProof | None = None
    nonce: str | None = None  # for the next proof, where that of this one grows old


async def verify_grant(
    asking: Asking,
    grant_id: str,
    trust: Trust,
    enforced: frozenset[str] = KNOWN_OBLIGATIONS,
) -> Allowed:
    """Walk checks 1 to 8; raises GatewayProblem.

    `enforced` are the obligations that are, for what is asked.
    """
    # 1. shown
    shown = _shown(asking, trust)

    # 2. token
    token = await _verified(shown, trust)
    if token.jti in trust.revoked:
        raise BadToken("token_revoked", "The token was revoked.", scheme=shown.scheme)
    proof = _proof(shown, token, trust)

    # 3. grant: before the look-up, so that a token says nothing about other grants
    if token.grant_id != grant_id:
        raise Refused("token_for_another_grant", "This token was issued for another grant.")
    if asking.action is not None and asking.action not in _actions(token):
        raise Refused("action_not_granted", f"This token is not for the action {asking.action}.")

    # 4. list
    check_status(trust.status, token)

    # 5. look up
    delivery = await _look_up(grant_id, trust.door)

    # 6. client
    if (token.client_id, token.org_id) != (delivery.client_id, delivery.consumer_id):
        raise Refused("token_for_another_client", "This grant was given to another client.")
    keys = delivery.client_keys
    if keys is not None and token.client_key is not None and token.client_key not in keys:
        raise BadToken(
            "client_key_removed",
            "What got the token is not the client's any more.",
            scheme=shown.scheme,
        )

    # 7. status
    if delivery.status != "active":
        raise Refused(f"grant_{delivery.status}", f"The grant is {delivery.status}.")
    if delivery.ends_ms <= trust.clock():
        raise Refused("grant_ended", "The grant is past its end.")

    # 8. obligations
    if unknown := sorted(delivery.obligations.keys() - enforced):
        raise Refused("obligation_unknown", f"This gateway cannot enforce: {', '.join(unknown)}.")
    if proof is None:
        return Allowed(delivery)
    now = trust.clock() / 1000
    is_young = trust.nonces.is_fresh(proof.nonce, now, MAX_AGE / 2)
    used = UsedProof(proof.once_key, proof.expires * 1000)
    return Allowed(delivery, used, None if is_young else trust.nonces.make(now))


async def verify_object(
    asking: Asking, grant_id: str, name: str, trust: Trust
) -> tuple[Allowed, FileObject]:
    """Walk all nine checks; raises GatewayProblem."""
    allowed = await verify_grant(asking, grant_id, trust, OF_FILES)

    # 9. object
    for item in allowed.delivery.objects:
        if item.name == name:
            return allowed, item
    raise NotHere("object_not_found", "The grant's offering has no object of this name.")


def _shown(asking: Asking, trust: Trust) -> Shown:
    """RFC 6750 section 2.1, RFC 9449 section 7.1; tokens in forms and URLs are not looked at."""
    values = asking.authorization
    if not values:
        raise BadToken("token_missing", "This needs a token for the grant.")
    scheme, _, token = values[0].partition(" ")
    scheme = scheme.lower()
    if len(values) > 1 or scheme not in ("bearer", "dpop") or not token or " " in token:
        raise BadToken(
            "token_malformed", "Send one header: Authorization: DPoP TOKEN, or Bearer TOKEN."
        )
    if len(token) > MAX_TOKEN:
        raise BadToken("token_malformed", f"A token has {MAX_TOKEN} characters at most.")
    return Shown(scheme, token, asking.proofs, asking.method, trust.audience + asking.path)


async def _verified(shown: Shown, trust: Trust) -> GrantToken:
    def read(keys: KeySet) -> GrantToken:
        return verify_grant_token(
            shown.token,
            keys,
            issuer=trust.issuer,
            audience=trust.audience,
            now=trust.clock() / 1000,
        )

    try:
        return await with_keys(read, trust.keys, trust.learn)
    except TokenRefused as refused:
        raise BadToken(refused.code, refused.detail, scheme=shown.scheme) from refused


def _proof(shown: Shown, token: GrantToken, trust: Trust) -> Proof | None:
    now = trust.clock() / 1000
    try:
        return check_shown(shown, token.jkt, now, trust.nonces, trust.replays)
    except ProofRefused as refused:
        is_nonce = refused.code == "dpop_nonce_needed"
        raise BadToken(
            refused.code,
            f"The DPoP proof is refused: {refused.detail}.",
            scheme="bearer" if token.jkt is None else "dpop",
            error="use_dpop_nonce" if is_nonce else "invalid_dpop_proof",
            nonce=trust.nonces.make(now) if is_nonce else None,
        ) from refused


def _actions(token: GrantToken) -> frozenset[str]:
    """Return what a token is for; one that says nothing of it is for nothing."""
    said = [each.get("actions") for each in token.authorization_details]
    return frozenset(
        name for each in said if isinstance(each, list) for name in each if isinstance(name, str)
    )


async def _look_up(grant_id: str, door: Door) -> Delivery:
    try:
        delivery = await door.look_up(grant_id)
    except (DoorRefused, DoorUnavailable) as error:
        raise door_problem(error) from error
    if delivery is None:
        raise NotHere("grant_not_found", "The exchange does not know this grant.")
    return delivery


def door_problem(error: DoorRefused | DoorUnavailable) -> GatewayProblem:
    """Put what the exchange said into the gateway's words; an odd status becomes 403."""
    if isinstance(error, DoorUnavailable):
        return NotNow("exchange_unavailable", "The exchange cannot be asked right now.")
    if error.status == 401:
        return BadToken(error.code, error.detail)
    if error.status == 503:
        return NotNow(error.code, error.detail)
    return Refused(
        error.code,
        error.detail,
        status=error.status if error.status in (404, 409, 429) else 403,
        hint=error.hint,
        members=error.members,
        headers=error.headers,
    )
