"""Follow the log for every webhook: one leaf after the other, each until it is taken.

A worker takes a webhook's lease before it sends; whatever it then writes names the row's
revision, so a worker that lost its lease, or was overtaken by a pause, writes nothing. A leaf is
sent at least once: when a worker ends between an answer and its record, it is sent again, under the
same id.
"""

import asyncio
import json
import logging
import secrets
from dataclasses import replace
from typing import Any

from exchange.clock import now_ms
from exchange.ledger.write import Event, Stale, Update, Write
from exchange.participants.store import Participants
from exchange.webhooks.model import Webhook, is_given_up, wait_ms
from exchange.webhooks.send import MOST_AT_ONCE, Sender
from exchange.webhooks.store import WEBHOOKS, WebhookStore

log_to = logging.getLogger("exchange.webhooks")
POLL_SECONDS = 0.5
LEASE_MS = 30_000
WINDOW = 2_000
STRIDE = 1_000  # leaves of others that are passed over before the row says so


class Deliverer:
    """One worker's deliveries: a task a webhook, so that a slow receiver holds up its own alone."""

    def __init__(
        self,
        store: WebhookStore,
        participants: Participants,
        sender: Sender,
        *,
        issuer: str = "",
        lease_ms: int = LEASE_MS,
    ) -> None:
        self._store, self._participants, self._sender = store, participants, sender
        self._ledger, self._lease_ms = store.ledger, lease_ms
        self._receipts = f"{issuer}/v1/receipts/"
        self.worker = secrets.token_hex(8)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looked: dict[str, tuple[int, int]] = {}  # the row's place, and how far was looked
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self) -> None:
        """Deliver for ever; on cancellation, let go of what is held."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    log_to.exception("webhooks_wait")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._let_go()

    async def look(self) -> None:
        """Start a task for each webhook that is due and has none."""
        due = await self._store.due(now_ms(), self.worker)
        size = await self._ledger.size() if due else 0
        self._looked = {w.id: self._looked[w.id] for w in due if w.id in self._looked}
        for webhook in due:
            if webhook.id not in self._tasks and self._start(webhook) < size:
                self._tasks[webhook.id] = asyncio.create_task(self._serve(webhook.id))

    def _start(self, webhook: Webhook) -> int:
        place, looked = self._looked.get(webhook.id, (webhook.next_index, webhook.next_index))
        return looked if place == webhook.next_index else webhook.next_index

    async def _serve(self, webhook_id: str) -> None:
        try:
            while await self._step(webhook_id):
                pass
        except Stale:  # paused, removed, set back, or another worker's now
            pass
        except Exception:
            log_to.exception("webhook_waits", extra={"webhook_id": webhook_id})
        finally:
            self._tasks.pop(webhook_id, None)

    async def _step(self, webhook_id: str) -> bool:
        """Send one leaf, or look through one window; return whether to go on at once."""
        webhook = await self._store.webhook(webhook_id)
        if webhook is None or not self._is_due(webhook, now_ms()):
            return False
        organisation = await self._participants.organisations.get(webhook.org_id)
        if organisation is None or organisation.status != "active":
            return False
        start = self._start(webhook)
        looked, leaf = await self._store.next_leaf(webhook.org_id, webhook.kinds, start, WINDOW)
        if leaf is None:
            if looked - webhook.next_index >= STRIDE:
                await self._write(webhook, {"next_index": looked})
            else:
                self._looked[webhook_id] = (webhook.next_index, looked)
            return looked > start
        async with self._room:
            webhook = await self._leased(webhook)
            return await self._deliver(webhook, *leaf)

    def _is_due(self, webhook: Webhook, now: int) -> bool:
        mine = webhook.lease_by == self.worker or webhook.lease_until_ms <= now
        return webhook.status == "active" and webhook.next_try_ms <= now and mine

    async def _leased(self, webhook: Webhook) -> Webhook:
        """Return the webhook, this worker's for longer than an attempt takes."""
        now = now_ms()
        needed = now + int(self._sender.total_seconds * 2000)
        if webhook.lease_by == self.worker and webhook.lease_until_ms > needed:
            return webhook
        lease = {"lease_by": self.worker, "lease_until_ms": max(now + self._lease_ms, needed)}
        return await self._write(webhook, lease)

    async def _deliver(self, webhook: Webhook, index: int, entry: bytes) -> bool:
        log = json.dumps(self._ledger.log.origin)
        receipt = json.dumps(self._receipts + str(json.loads(entry)["id"]))
        # The entry stays the bytes that the log holds, canonical JSON.
        body = f'{{"index":{index},"log":{log},"receipt":{receipt},"event":'.encode() + entry + b"}"
        wrong = await self._sender.send(webhook.url, body, f"{webhook.id}.{index}", now_ms())
        now = now_ms()
        if wrong is None:
            afresh = {"failures": 0, "last_error": None, "failing_since_ms": None, "next_try_ms": 0}
            await self._write(webhook, {"next_index": index + 1, **afresh})
            return True
        log_to.info("webhook_failed", extra={"webhook_id": webhook.id, "code": wrong})
        since = webhook.failing_since_ms if webhook.failing_since_ms is not None else now
        failures = webhook.failures + 1
        values: dict[str, Any] = {
            "failures": failures,
            "last_error": wrong,
            "failing_since_ms": since,
            "next_try_ms": now + wait_ms(failures, secrets.randbelow(1001) / 1000),
            "lease_until_ms": 0,
        }
        events = []
        if is_given_up(since, now):
            values["status"] = "paused"
            events.append(self._paused(webhook, index, failures))
        await self._write(webhook, values, events)
        return False

    def _paused(self, webhook: Webhook, index: int, failures: int) -> Event:
        return self._ledger.event(
            "webhook.paused.v1",
            webhook.id,
            {
                "webhook_id": webhook.id,
                "organisation_id": webhook.org_id,
                "next_index": index,
                "failures": failures,
            },
            consumer_id=webhook.org_id,
        )

    async def _write(
        self, webhook: Webhook, values: dict[str, Any], events: list[Event] | None = None
    ) -> Webhook:
        """Change the row as it was read; raises Stale when it is not so any more."""
        update = Update(WEBHOOKS, webhook.id, webhook.rev, values)
        await self._ledger.commit(Write(events or [], updates=[update]))
        return replace(webhook, rev=webhook.rev + 1, **values)

    async def _let_go(self) -> None:
        """End every task, and give leases back so that the next worker need not wait for them."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            for webhook in await self._store.due(2**53, self.worker):
                if webhook.lease_by == self.worker and webhook.lease_until_ms:
                    await self._write(webhook, {"lease_until_ms": 0})
        except Exception:  # they end by themselves
            log_to.info("leases_kept")
        await self._sender.aclose()
