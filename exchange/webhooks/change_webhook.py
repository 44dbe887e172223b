"""Pause a webhook, resume it, and have leaves delivered again."""

from collections.abc import Mapping
from typing import Any

from exchange.errors import BadInput
from exchange.http import Caller
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.write import Update, Write
from exchange.participants.store import acting
from exchange.webhooks.model import Webhook
from exchange.webhooks.store import WEBHOOKS, WebhookStore

AFRESH: Mapping[str, Any] = {
    "failures": 0,
    "last_error": None,
    "failing_since_ms": None,
    "next_try_ms": 0,
}


async def pause_webhook(store: WebhookStore, caller: Caller, webhook_id: str) -> Webhook:
    """Send nothing until it is resumed; what happens meanwhile is sent then."""
    return await _change(store, caller, webhook_id, {"status": "paused"})


async def resume_webhook(store: WebhookStore, caller: Caller, webhook_id: str) -> Webhook:
    """Go on where delivery stopped, at once."""
    return await _change(store, caller, webhook_id, {"status": "active", **AFRESH})


async def redeliver(
    store: WebhookStore, caller: Caller, webhook_id: str, from_index: int
) -> Webhook:
    """Send every leaf from an index on, also those that were sent before.

    Raises BadInput (422) for an index that the log does not have yet.
    """
    size = await store.ledger.size()
    if from_index > size:
        raise BadInput(
            "index_beyond_log", f"The log has {size} entries: the next is {size}.", status=422
        )
    return await _change(store, caller, webhook_id, {"next_index": from_index, **AFRESH})


async def _change(
    store: WebhookStore,
    caller: Caller,
    webhook_id: str,
    values: Mapping[str, Any],
) -> Webhook:
    async def build() -> Write:
        current = await store.to_change(webhook_id, caller)
        update = Update(WEBHOOKS, webhook_id, current.rev, values)
        return Write(reads=acting(caller), updates=[update])

    await commit_fresh(store.ledger, build)
    return await store.own(webhook_id, caller)
