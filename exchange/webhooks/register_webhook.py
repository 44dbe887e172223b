"""Register a webhook, and remove one."""

import secrets
from collections.abc import Sequence

from exchange.clock import now_ms
from exchange.errors import BadInput, Conflict
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.evolve import commit_fresh
from exchange.ledger.once import first_outcome, idempotency
from exchange.ledger.write import Insert, LeafIndex, Met, Update, Write
from exchange.outward.allow import AddressRefused, AllowList
from exchange.participants.register_organisation import commitment
from exchange.participants.store import ORGANISATIONS, Participants, acting
from exchange.webhooks.model import Webhook
from exchange.webhooks.store import WEBHOOKS, WebhookStore, assert_may_change

MAX_WEBHOOKS = 10


async def register_webhook(
    store: WebhookStore,
    participants: Participants,
    allow: AllowList,
    caller: Caller,
    url: str,
    idempotency_key: str | None = None,
    kinds: Sequence[str] = (),
) -> Webhook:
    """Register a webhook of the caller's organisation; its own leaf is the first that is sent.

    `kinds` are what the types of leaves to be sent begin with, such as `grant.`; none means all.

    Raises BadInput for a URL that the operator does not allow, Conflict for one webhook too many.
    """
    assert_may_change(caller)
    ledger, org_id = store.ledger, caller.org_id
    body, url = {"url": url, "kinds": sorted(kinds)}, _checked(allow, url)
    webhook_id = new_id("whk", ledger.log_id)
    once = idempotency(caller.client_id, idempotency_key, body, webhook_id)
    salt = secrets.token_hex(16)

    async def build() -> Write:
        organisation = await participants.organisation(org_id)
        if len(await store.list_own(org_id, None, MAX_WEBHOOKS)) >= MAX_WEBHOOKS:
            raise Conflict(
                "too_many_webhooks", f"An organisation has at most {MAX_WEBHOOKS} webhooks."
            )
        event = ledger.event(
            "webhook.registered.v1",
            webhook_id,
            {
                "webhook_id": webhook_id,
                "organisation_id": org_id,
                "url_commitment": commitment(salt, url),
                "by": caller.client_id,
            },
            consumer_id=org_id,
        )
        row = {
            "log_id": ledger.log_id,
            "id": webhook_id,
            "org_id": org_id,
            "url": url,
            "salt": salt,
            "status": "active",
            "next_index": LeafIndex(),
            "kinds": sorted(kinds),
            "failures": 0,
            "last_error": None,
            "failing_since_ms": None,
            "next_try_ms": 0,
            "lease_by": "",
            "lease_until_ms": 0,
            "rev": 1,
            "created_ms": now_ms(),
        }
        reads = {(ORGANISATIONS, org_id): organisation.rev, **acting(caller)}
        return Write([event], reads=reads, inserts=[Insert(WEBHOOKS, row)], once=once)

    _, result = await commit_fresh(ledger, build, once)
    if isinstance(result, Met):
        webhook_id = first_outcome(result, body)
    return await store.own(webhook_id, caller)


def _checked(allow: AllowList, url: str) -> str:
    try:
        return allow.check_url(url)
    except AddressRefused as refused:
        hint = None
        if refused.code == "address_not_allowed":
            hint = "Ask the operator: EXCHANGE_WEBHOOK_ALLOW lists what is allowed."
        raise BadInput(f"webhook_{refused.code}", refused.detail, status=422, hint=hint) from None


async def remove_webhook(store: WebhookStore, caller: Caller, webhook_id: str) -> None:
    """Remove a webhook for good: nothing more is sent, and its address is forgotten."""

    async def build() -> Write:
        current = await store.to_change(webhook_id, caller)
        event = store.ledger.event(
            "webhook.removed.v1",
            webhook_id,
            {
                "webhook_id": webhook_id,
                "organisation_id": current.org_id,
                "by": caller.client_id,
            },
            consumer_id=current.org_id,
        )
        gone = {"status": "removed", "url": "", "salt": ""}
        update = Update(WEBHOOKS, webhook_id, current.rev, gone)
        return Write([event], reads=acting(caller), updates=[update])

    await commit_fresh(store.ledger, build)
