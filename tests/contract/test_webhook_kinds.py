"""What a webhook's deliveries are about, and what they link to."""

import json

from exchange.webhooks.register_webhook import register_webhook
from tests.contract.test_webhooks import until, world_on
from tests.support.receiver import Receiver


async def test_only_the_kinds_that_were_asked_for_arrive_with_a_link_to_their_receipts(database):
    async with world_on(database, issuer="https://exchange.example") as world:
        with Receiver() as receiver:
            parts = world.parts
            made = await register_webhook(
                parts.webhooks,
                parts.participants,
                parts.webhook_allow,
                world.sme,
                receiver.url,
                None,
                ["grant.", "client.reg"],
            )
            assert made.kinds == ["client.reg", "grant."]
            await world.set_attribute(world.sme.org_id, "headcount", 3)
            grant = (await world.ask()).grant
            await world.client(world.sme.org_id)
            await world.revoke(grant.id)
            await until(lambda: len(receiver.taken) >= 3)
            kinds = [delivery.event["type"] for delivery in receiver.taken]
            assert kinds == [
                "exchange.grant.activated.v1",
                "exchange.client.registered.v1",
                "exchange.grant.revoked.v2",
            ]
            first = json.loads(receiver.taken[0].body)
            event_id = first["event"]["id"]
            assert first["receipt"] == f"https://exchange.example/v1/receipts/{event_id}"
