"""Routes of webhooks: parse, call one verb, answer."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from exchange.clock import now_ms, rfc3339
from exchange.http import (
    Body,
    Caller,
    Cursor,
    IdempotencyKey,
    JSONRoute,
    Page,
    caller_with,
    decode_cursor,
    encode_cursor,
    problems,
)
from exchange.outward.allow import AllowList
from exchange.participants.store import Participants
from exchange.policy.model import LARGEST
from exchange.webhooks.change_webhook import pause_webhook, redeliver, resume_webhook
from exchange.webhooks.model import Webhook
from exchange.webhooks.register_webhook import register_webhook, remove_webhook
from exchange.webhooks.store import WebhookStore

REST = "[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}"
WebhookId = Annotated[str, Path(pattern=f"^whk_{REST}$", examples=["whk_0000_" + "0" * 26])]
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z_]+(\.[a-z_0-9]+)*\.?$", max_length=64)]
Url = Annotated[str, StringConstraints(min_length=8, max_length=2000)]


class WebhookIn(Body):
    """A webhook to register."""

    url: Url = Field(
        description="Where leaves are posted: an address that the operator allows",
        examples=["https://hooks.example.com/exchange"],
    )
    kinds: Annotated[list[Kind], Field(max_length=20)] = Field(
        default=[],
        description="Only leaves whose type, after `exchange.`, begins with one of these",
        examples=[["grant.", "request."]],
    )


class RedeliveryIn(Body):
    """From where on to deliver again."""

    from_index: Annotated[int, Field(ge=0, le=LARGEST, strict=True)] = Field(examples=[1])


class WebhookOut(Body):
    """A webhook, and how its delivery stands."""

    id: str
    organisation_id: str
    url: str
    kinds: list[str]
    status: Literal["active", "paused"]
    next_index: int = Field(description="No leaf before this one is still to be sent")
    behind: int = Field(description="Leaves of the log from there on, of yours and of others")
    failures: int = Field(description="Attempts in a row that failed")
    last_error: str | None = Field(description="A code: why the newest attempt failed")
    next_try_at: str | None = Field(description="When it is tried again, while it fails")
    created_at: str


def router(
    store: WebhookStore, participants: Participants, allow: AllowList, page_items: int
) -> APIRouter:
    """Return the routes of webhooks."""
    routes = APIRouter(prefix="/v1", tags=["webhooks"], route_class=JSONRoute)
    party = caller_with("participants", own_affairs=True)

    @routes.post(
        "/webhooks", status_code=201, responses=problems(400, 401, 403, 409, 415, 422, 503)
    )
    async def post_webhook(
        body: WebhookIn,
        caller: Annotated[Caller, party],
        idempotency_key: IdempotencyKey = None,
    ) -> WebhookOut:
        """Have the leaves that concern your organisation posted to an address, in log order.

        Each is signed (RFC 9421) with a key of `/oauth/jwks`, tried until the answer is 2xx, and
        sent at least once: `Exchange-Delivery` is the same each time.
        """
        made = await register_webhook(
            store, participants, allow, caller, body.url, idempotency_key, body.kinds
        )
        return _out(made, await store.ledger.size())

    @routes.get("/webhooks", responses=problems(400, 401, 403, 422, 503))
    async def get_webhooks(
        caller: Annotated[Caller, party],
        cursor: Cursor = None,
        limit: Annotated[int, Query(ge=1, le=page_items)] = min(50, page_items),
    ) -> Page[WebhookOut]:
        """List your organisation's webhooks."""
        found = await store.list_own(caller.org_id, decode_cursor(cursor), limit + 1)
        more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
        size = await store.ledger.size()
        return Page(items=[_out(each, size) for each in found[:limit]], next=more)

    @routes.get("/webhooks/{webhook_id}", responses=problems(401, 403, 404, 422, 503))
    async def get_webhook(webhook_id: WebhookId, caller: Annotated[Caller, party]) -> WebhookOut:
        """Show a webhook of your organisation."""
        return _out(await store.own(webhook_id, caller), await store.ledger.size())

    @routes.delete(
        "/webhooks/{webhook_id}", status_code=204, responses=problems(401, 403, 404, 422, 503)
    )
    async def delete_webhook(webhook_id: WebhookId, caller: Annotated[Caller, party]) -> None:
        """Remove a webhook: nothing more is sent, and its address is forgotten."""
        await remove_webhook(store, caller, webhook_id)

    @routes.post(
        "/webhooks/{webhook_id}/redeliver",
        responses=problems(400, 401, 403, 404, 415, 422, 503),
    )
    async def post_redeliver(
        webhook_id: WebhookId, body: RedeliveryIn, caller: Annotated[Caller, party]
    ) -> WebhookOut:
        """Send every leaf from an index on once more."""
        return _out(
            await redeliver(store, caller, webhook_id, body.from_index), await store.ledger.size()
        )

    @routes.post("/webhooks/{webhook_id}/pause", responses=problems(401, 403, 404, 422, 503))
    async def post_pause(webhook_id: WebhookId, caller: Annotated[Caller, party]) -> WebhookOut:
        """Send nothing until it is resumed; nothing is lost meanwhile."""
        return _out(await pause_webhook(store, caller, webhook_id), await store.ledger.size())

    @routes.post("/webhooks/{webhook_id}/resume", responses=problems(401, 403, 404, 422, 503))
    async def post_resume(webhook_id: WebhookId, caller: Annotated[Caller, party]) -> WebhookOut:
        """Go on where delivery stopped."""
        return _out(await resume_webhook(store, caller, webhook_id), await store.ledger.size())

    return routes


def _out(webhook: Webhook, size: int) -> WebhookOut:
    waits = webhook.failures > 0 and webhook.next_try_ms > now_ms()
    return WebhookOut(
        id=webhook.id,
        organisation_id=webhook.org_id,
        url=webhook.url,
        kinds=webhook.kinds,
        status="paused" if webhook.status == "paused" else "active",
        next_index=webhook.next_index,
        behind=max(0, size - webhook.next_index),
        failures=webhook.failures,
        last_error=webhook.last_error,
        next_try_at=rfc3339(webhook.next_try_ms) if waits else None,
        created_at=rfc3339(webhook.created_ms),
    )
