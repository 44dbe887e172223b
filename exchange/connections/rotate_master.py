"""Rotate the master key while serving: a new one seals from then on, and what others sealed is
sealed anew, row by row; an old one goes when nothing is sealed by it any more.

The database says which key seals (`vault_state`), and every write that seals reads the rev of that:
once a rotation is committed nothing is sealed by an older key, on any worker.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from exchange.connections.store import ACTIVE, SECRETS, VAULT, ConnectionStore, VaultState
from exchange.connections.vault import Unreadable, Vault, place_of
from exchange.errors import Conflict, StartUpError, Unavailable
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert, Once, Stale, Update, Write
from exchange.participants.store import acting

log_to = logging.getLogger("exchange.vault")
AT_ONCE = 50
FOR_EVER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class MasterState:
    """Which key seals, which are there, and how many secrets each has sealed."""

    key_id: str
    key_ids: tuple[str, ...]
    sealed: Mapping[str, int]


async def activate_vault(ledger: Ledger, store: ConnectionStore, vault: Vault) -> None:
    """Have the file's newest key seal, where none does that the file still has."""

    async def build() -> Write:
        state, ids = await store.vault_state(), vault.ids
        if state is None:
            row = Insert(VAULT, {"id": ACTIVE, "key_id": ids[0], "rev": 1})
            # Of workers that start at once, one inserts it.
            return Write(inserts=[row], once=[Once("vault:opened", FOR_EVER)])
        if state.key_id in ids:
            return Write(reads={(VAULT, ACTIVE): state.rev})
        event = _rotated(ledger, state, ids[0], "exchange")
        return Write([event], updates=[Update(VAULT, ACTIVE, state.rev, {"key_id": ids[0]})])

    await commit_fresh(ledger, build)


async def master_state(store: ConnectionStore, vault: Vault) -> MasterState:
    """Return how the master keys stand."""
    state = await sealing_state(store)
    return MasterState(state.key_id, tuple(vault.ids), await store.sealed_by())


async def sealing_state(store: ConnectionStore) -> VaultState:
    """Return which key seals just now; raises Unavailable."""
    state = await store.vault_state()
    if state is None:
        raise Unavailable("vault_unavailable", "No key is said to seal credentials.")
    return state


async def rotate_master(
    ledger: Ledger, store: ConnectionStore, vault: Vault, caller: Caller
) -> MasterState:
    """Put a new master key in front: it seals from now on."""

    async def build() -> Write:
        state = await sealing_state(store)
        try:
            key_id = await asyncio.to_thread(vault.add_after, state.key_id)
        except (OSError, StartUpError) as error:
            raise Unavailable("vault_unavailable", "The master keys cannot be changed.") from error
        event = _rotated(ledger, state, key_id, caller.client_id)
        update = Update(VAULT, ACTIVE, state.rev, {"key_id": key_id})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    return await master_state(store, vault)


async def retire_master(
    ledger: Ledger, store: ConnectionStore, vault: Vault, caller: Caller
) -> MasterState:
    """Drop the keys behind the one that seals; raises Conflict while a secret needs one."""
    dropped: list[str] = []

    async def build() -> Write:
        nonlocal dropped
        state = await sealing_state(store)
        sealed = await store.sealed_by()
        left = sum(count for key_id, count in sealed.items() if key_id != state.key_id)
        if left:
            raise Conflict(
                "master_key_needed",
                f"{left} credentials are still sealed by an older master key.",
                hint="They are sealed anew within seconds: GET /v1/keys/master says how many are "
                "left. One that no key opens has to be replaced, or its connection removed.",
            )
        dropped = vault.older_than(state.key_id)
        if not dropped:  # retiring again changes nothing, and is no leaf
            return Write(reads={(VAULT, ACTIVE): state.rev})
        event = ledger.event(
            "keys.master_retired.v1",
            ACTIVE,
            {"key_id": state.key_id, "retired": dropped, "by": caller.client_id},
        )
        update = Update(VAULT, ACTIVE, state.rev, {})
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(ledger, build)
    # Nothing can be sealed by these any more: they stand behind the one that seals.
    try:
        await asyncio.to_thread(vault.drop, dropped)
    except (OSError, StartUpError) as error:
        raise Unavailable(
            "vault_unavailable", "The master keys cannot be changed.", hint="Retire them again."
        ) from error
    return await master_state(store, vault)


class Resealer:
    """Seals anew what older keys sealed. Each row is a compare-and-set of its own: a platform that
    replaces the credential meanwhile wins, whoever of the two comes first.
    """

    def __init__(self, ledger: Ledger, store: ConnectionStore, vault: Vault) -> None:
        self._ledger, self._store, self._vault = ledger, store, vault
        self._unreadable: set[str] = set()

    async def run(self) -> int:
        """Look once through all rows; return how many were sealed anew."""
        done, after = 0, ""
        state = await self._store.vault_state()
        while state is not None:
            found = await self._store.not_sealed_by(state.key_id, after, AT_ONCE)
            if not found:
                break
            after = found[-1][0].id
            writes = []
            for connection, sealed in found:
                place = place_of(connection)
                try:
                    secret = self._vault.open(sealed.text, sealed.key_id, place)
                except Unreadable:
                    self._cannot(connection.id)
                    continue
                anew = self._vault.seal(state.key_id, place, secret)
                values = {"sealed": anew, "key_id": state.key_id}
                update = Update(SECRETS, connection.id, sealed.rev, values)
                writes.append(Write(reads={(VAULT, ACTIVE): state.rev}, updates=[update]))
            done += sum(await asyncio.gather(*(self._commit(write) for write in writes)))
        return done

    async def _commit(self, write: Write) -> bool:
        try:
            await self._ledger.commit(write)
        except Stale:  # replaced, removed, rotated again, or another worker was quicker
            return False
        return True

    def _cannot(self, connection_id: str) -> None:
        if connection_id not in self._unreadable:
            self._unreadable.add(connection_id)
            log_to.error("credential_unreadable", extra={"connection_id": connection_id})


def _rotated(ledger: Ledger, state: VaultState, key_id: str, by: str) -> Event:
    return ledger.event(
        "keys.master_rotated.v1", ACTIVE, {"key_id": key_id, "before": state.key_id, "by": by}
    )
