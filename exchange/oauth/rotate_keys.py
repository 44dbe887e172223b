"""Rotate the keys that sign tokens while serving, every change a leaf.

A new key is published a while before it signs, as long as copies of the JWK Set are kept. Older
ones stay published until they are retired: what they signed is refused from then on. A set holds
eight; a ninth waits until some are retired.
"""

import asyncio
import contextlib
from dataclasses import dataclass

from exchange.clock import now_ms
from exchange.errors import Conflict, StartUpError, Unavailable
from exchange.http import Caller
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Write
from exchange.oauth.keys import (
    NEVER,
    TokenKeys,
    TokenKeysFull,
    add_token_key,
    drop_token_keys,
    schedule_token_key,
)
from exchange.participants.store import acting

SUBJECT = "token_keys"
COPIES_SECONDS = 300  # how long a copy of the JWK Set may be kept (its max-age)
ROTATION_SECONDS = 60  # no rotation takes longer; a key without its time is left behind then
WORKERS_SECONDS = 3  # how long until every worker has looked at the file


@dataclass(frozen=True, slots=True)
class TokenKeyState:
    """One key: whether it signs now, and from when on it does (seconds)."""

    kid: str
    signs: bool
    signs_from: int


def token_key_state(keys: TokenKeys) -> list[TokenKeyState]:
    """Return how the keys stand, the newest first."""
    schedule = keys.schedule  # looks at the file, before it is asked which of them signs
    signing = keys.signing_id
    return [TokenKeyState(kid, kid == signing, since) for kid, since in schedule]


async def rotate_token_keys(
    ledger: Ledger, keys: TokenKeys, caller: Caller, *, at_once: bool
) -> list[TokenKeyState]:
    """Have a new key sign, once everybody knows it; `at_once`: within seconds."""
    path = keys.path
    if path is None:
        raise Unavailable("keys_unavailable", "These keys are kept nowhere.")
    try:
        # It signs nothing before the log says so.
        kid = await asyncio.to_thread(add_token_key, path, NEVER)
    except TokenKeysFull as error:
        raise _full(keys) from error
    except (OSError, StartUpError) as error:
        raise _unchanged() from error
    signs_from = now_ms() // 1000 + (WORKERS_SECONDS if at_once else COPIES_SECONDS)
    data = {"key_id": kid, "signs_from_ms": signs_from * 1000, "by": caller.client_id}
    event = ledger.event("keys.token_rotated.v1", SUBJECT, data)
    try:
        await ledger.commit(Write([event], reads=acting(caller)))
    except Exception:
        with contextlib.suppress(OSError, StartUpError):  # else it is left behind, and retired
            await asyncio.to_thread(drop_token_keys, path, [kid])
        raise
    try:
        await asyncio.to_thread(schedule_token_key, path, kid, signs_from)
    except (OSError, StartUpError, LookupError) as error:
        raise _unchanged() from error
    return token_key_state(keys)


async def retire_token_keys(ledger: Ledger, keys: TokenKeys, caller: Caller) -> list[TokenKeyState]:
    """Forget the keys behind the one that signs: tokens that they signed are refused.

    Those that were left behind by a rotation which did not end go too; they signed nothing.
    """
    path, found = keys.path, _retirable(keys)
    if path is None:
        raise Unavailable("keys_unavailable", "These keys are kept nowhere.")
    if found is None:
        raise Conflict(
            "token_key_waits",
            "A newer key waits to sign: retire the older ones once it does.",
            hint="GET /v1/keys/token says from when.",
        )
    signing, retired = found
    if retired:
        data = {"key_id": signing, "retired": retired, "by": caller.client_id}
        event = ledger.event("keys.token_retired.v1", SUBJECT, data)
        await ledger.commit(Write([event], reads=acting(caller)))
        try:
            await asyncio.to_thread(drop_token_keys, path, retired)
        except (OSError, StartUpError) as error:
            raise _unchanged() from error
    return token_key_state(keys)


def _retirable(keys: TokenKeys) -> tuple[str, list[str]] | None:
    """Return which key signs, and which may be retired; None while a newer one waits to sign."""
    state, left = token_key_state(keys), keys.left_behind(ROTATION_SECONDS)
    at = next((i for i, each in enumerate(state) if each.signs), None)
    if at is None or any(each.signs_from < NEVER for each in state[:at]):
        return None
    unfinished = [each.kid for each in state[:at] if each.kid in left]
    return state[at].kid, unfinished + [each.kid for each in state[at + 1 :]]


def _full(keys: TokenKeys) -> Conflict:
    """Say which keys may be retired to make room."""
    found = _retirable(keys)
    full = "As many keys are published as a JWK Set may hold"
    if found is None or not found[1]:
        return Conflict(
            "token_keys_full",
            f"{full}, and none may be retired while a newer one waits to sign.",
            hint="GET /v1/keys/token says from when.",
        )
    return Conflict(
        "token_keys_full",
        f"{full}: retire the older ones first.",
        hint=f"POST /v1/keys/token/retire forgets {', '.join(found[1])}.",
    )


def _unchanged() -> Unavailable:
    return Unavailable("keys_unavailable", "The token keys cannot be changed.", hint="Try again.")
