"""Webhooks with real receivers on loopback: in order, signed, until taken, and nowhere else."""

import asyncio
import contextlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from joserfc import jwk

from exchange.errors import BadInput, Conflict, Forbidden, NotFound
from exchange.webhooks.change_webhook import pause_webhook, redeliver, resume_webhook
from exchange.webhooks.deliver import Deliverer
from exchange.webhooks.register_webhook import register_webhook, remove_webhook
from exchange.webhooks.send import MessageKey, Sender
from tests.support.desk import open_world
from tests.support.judge import judge
from tests.support.ledgers import open_exchange
from tests.support.receiver import Delivery, Receiver, verify
from tests.support.server import free_port

LOOPBACK = "127.0.0.1, localhost:1"


async def until(true, seconds=20):
    async with asyncio.timeout(seconds):
        while not (await true() if asyncio.iscoroutinefunction(true) else true()):
            await asyncio.sleep(0.02)


async def hook(parts, caller, url, key=None):
    return await register_webhook(
        parts.webhooks, parts.participants, parts.webhook_allow, caller, url, key
    )


def concerns(database, org_id, start=0):
    """Indexes of the leaves of an organisation, read past the product."""
    rows = database.sql(
        "SELECT leaf_index FROM entries WHERE leaf_index >= ? AND (consumer_id = ? "
        "OR provider_id = ?) ORDER BY leaf_index",
        *(start, org_id, org_id),
    )
    return [row[0] for row in rows]


@contextlib.asynccontextmanager
async def world_on(database, **settings):
    async with open_exchange(database, **{"webhook_allow": LOOPBACK} | settings) as parts:
        yield await open_world(parts)


def taken(receiver):
    return [delivery.index for delivery in receiver.taken]


async def recorded(parts, webhook_id, receiver):
    """Wait until the last leaf taken is on record: paused before that, it would be sent again."""

    async def passed():
        return (await parts.webhooks.webhook(webhook_id)).next_index > receiver.taken[-1].index

    await until(passed)


async def test_leaves_arrive_in_log_order_each_once_and_signed(database):
    async with world_on(database) as world:
        parts = world.parts
        with Receiver() as receiver:
            made = await hook(parts, world.sme, receiver.url)
            await world.ask()
            await world.ask(purpose="credit_scoring")
            await world.publish()  # concerns the platform alone
            due = concerns(database, world.sme.org_id, made.next_index)
            await until(lambda: len(receiver.taken) >= len(due))
            await asyncio.sleep(0.7)
            assert taken(receiver) == due
            assert len(due) >= 3
            first = receiver.taken[0]
            assert first.event["type"] == "exchange.webhook.registered.v1"
            assert first.id == f"{made.id}.{first.index}"
            for delivery in receiver.taken:
                entry = delivery.body.partition(b',"event":')[2][:-1]
                ((stored,),) = database.sql(
                    "SELECT entry FROM entries WHERE leaf_index = ?", delivery.index
                )
                assert entry == bytes(stored)
                verify(delivery, receiver.origin, parts.token_keys.jwks)
                verify_with_the_library(delivery, receiver.origin, parts.token_keys.jwks)
            forged = Delivery(first.path, first.headers, first.body.replace(b"index", b"xndex"))
            with pytest.raises(AssertionError):
                verify(forged, receiver.origin, parts.token_keys.jwks)
            with pytest.raises(InvalidSignature):
                verify(first, "http://elsewhere.example", parts.token_keys.jwks)
        judge(database.sql)


def verify_with_the_library(delivery, origin, jwks):
    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id):
            (key,) = [each for each in jwks["keys"] if each["kid"] == key_id]
            return jwk.import_key(key).public_key

    class Message:
        method, url, headers = "POST", origin + delivery.path, delivery.headers

    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys())
    needed = ("@method", "@target-uri", "content-type", "content-digest")
    assert verifier.verify(Message(), require_components=needed, body=delivery.body)


async def test_a_receiver_that_fails_loses_nothing(database):
    answers = iter([500, 302, 204, 429])

    def answer(_receiver, _delivery):
        return next(answers, 200), {}

    async with world_on(database) as world:
        with Receiver(answer) as receiver:
            made = await hook(world.parts, world.sme, receiver.url)
            await world.ask()
            due = concerns(database, world.sme.org_id, made.next_index)
            await until(lambda: len(receiver.taken) >= len(due))
            assert taken(receiver) == due
            assert [d.index for d in receiver.came[:4]] == [due[0], due[0], due[0], due[1]]
            assert receiver.came[0].id == receiver.came[2].id

            async def well():  # recorded after the answer
                return (await world.parts.webhooks.webhook(made.id)).failures == 0

            await until(well)


async def test_a_receiver_that_hangs_holds_up_nobody(database):
    def hang(receiver, _delivery):
        receiver.released.wait(30)
        return 200, {}

    async with world_on(database) as world:
        with Receiver(hang) as slow, Receiver() as quick:
            await hook(world.parts, world.sme, slow.url)
            await until(lambda: slow.came)
            await hook(world.parts, world.sme, quick.url)
            await hook(world.parts, world.platform, quick.url)
            async with asyncio.timeout(6):
                await world.ask()
                await until(lambda: len(quick.taken) >= 4, 5)
            assert len(slow.came) == 1


async def test_a_redirect_inward_is_not_followed(database):
    with Receiver() as inward:

        def redirect(_receiver, _delivery):
            return 307, {"Location": inward.url}

        async with world_on(database) as world:
            with Receiver(redirect) as receiver:
                made = await hook(world.parts, world.sme, receiver.url)
                await until(lambda: len(receiver.came) >= 2)
                assert inward.came == []
                assert (await world.parts.webhooks.webhook(made.id)).failures >= 1


async def test_a_name_that_resolves_inward_is_not_reached(database):
    """The name is allowed, loopback is not."""
    with Receiver() as inward:
        async with world_on(database, webhook_allow=f"localhost:{inward.port}") as world:
            made = await hook(world.parts, world.sme, f"http://localhost:{inward.port}/")

            async def failed():
                return (await world.parts.webhooks.webhook(made.id)).failures >= 1

            await until(failed)
            assert inward.came == []


async def test_an_address_that_the_operator_took_back_is_not_reached(database):
    with Receiver() as receiver:
        async with world_on(database) as world:
            made = await hook(world.parts, world.sme, receiver.url)
            await pause_webhook(world.parts.webhooks, world.sme, made.id)
            sme, came = world.sme, len(receiver.came)
        async with open_exchange(database, webhook_allow="") as parts:
            await resume_webhook(parts.webhooks, sme, made.id)

            async def failed():
                return (await parts.webhooks.webhook(made.id)).failures >= 1

            await redeliver(parts.webhooks, sme, made.id, 0)
            await until(failed)
            assert len(receiver.came) == came


async def test_a_restart_goes_on_where_it_was(database):
    port = free_port()
    async with world_on(database) as world:  # nobody listens yet
        made = await hook(world.parts, world.sme, f"http://127.0.0.1:{port}/")
        await world.ask()
        sme = world.sme
    with Receiver(port=port) as receiver:
        async with open_exchange(database, webhook_allow=LOOPBACK):
            due = concerns(database, sme.org_id, made.next_index)
            await until(lambda: len(receiver.taken) >= len(due))
            assert taken(receiver) == due


async def test_two_workers_send_each_leaf_once(database):
    async with world_on(database) as world:
        parts = world.parts
        sender = Sender(MessageKey(lambda: parts.token_keys.signing), parts.webhook_allow)
        other = Deliverer(parts.webhooks, parts.participants, sender)
        task = asyncio.create_task(other.run())
        try:
            with Receiver() as receiver:
                made = await hook(parts, world.sme, receiver.url)
                for purpose in ("scientific_research", "logistics_planning", "credit_scoring"):
                    await world.ask(purpose=purpose)
                    await asyncio.sleep(0.3)
                due = concerns(database, world.sme.org_id, made.next_index)
                await until(lambda: len(receiver.taken) >= len(due))
                await asyncio.sleep(1.2)
                assert taken(receiver) == due
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_another_workers_lease_is_waited_for(database):
    async with world_on(database) as world:
        with Receiver() as receiver:
            made = await hook(world.parts, world.sme, receiver.url)
            await until(lambda: receiver.taken)
            await recorded(world.parts, made.id, receiver)
            database.sql("UPDATE webhooks SET lease_by = 'x', lease_until_ms = 99999999999999")
            await world.ask()
            await asyncio.sleep(1.2)
            assert len(receiver.taken) == 1
            database.sql("UPDATE webhooks SET lease_until_ms = 1")  # that worker ended
            due = concerns(database, world.sme.org_id, made.next_index)
            await until(lambda: len(receiver.taken) >= len(due))
            assert taken(receiver) == due


async def test_after_three_days_it_is_paused_and_resuming_loses_nothing(database):
    answers = {"status": 503}

    async with world_on(database) as world:
        parts = world.parts
        with Receiver(lambda _r, _d: (answers["status"], {})) as receiver:
            made = await hook(parts, world.sme, receiver.url)
            await until(lambda: receiver.came)

            async def paused():
                database.sql(
                    "UPDATE webhooks SET failing_since_ms = 1, next_try_ms = 0 WHERE failures > 0"
                )
                await asyncio.sleep(0.3)
                return (await parts.webhooks.webhook(made.id)).status == "paused"

            await until(paused)
            came = len(receiver.came)
            await asyncio.sleep(1.2)
            assert len(receiver.came) == came
            log = judge(database.sql)
            (leaf,) = log.of("webhook.paused.v1")
            assert leaf["next_index"] == made.next_index
            answers["status"] = 200
            await resume_webhook(parts.webhooks, world.sme, made.id)
            due = concerns(database, world.sme.org_id, made.next_index)
            await until(lambda: len(receiver.taken) >= len(due))
            assert taken(receiver) == due


async def test_pausing_resuming_redelivering_and_removing(database):
    async with world_on(database) as world:
        parts, sme = world.parts, world.sme
        with Receiver() as receiver:
            made = await hook(parts, sme, receiver.url)
            await until(lambda: receiver.taken)
            await recorded(parts, made.id, receiver)
            await pause_webhook(parts.webhooks, sme, made.id)
            await world.ask()
            await asyncio.sleep(1.2)
            assert len(receiver.taken) == 1
            await resume_webhook(parts.webhooks, sme, made.id)
            due = concerns(database, sme.org_id)
            new = [index for index in due if index >= made.next_index]
            await until(lambda: len(receiver.taken) >= len(new))
            await redeliver(parts.webhooks, sme, made.id, 0)
            await until(lambda: taken(receiver) == [*new, *due])
            with pytest.raises(BadInput):
                await redeliver(parts.webhooks, sme, made.id, 10**9)
            await remove_webhook(parts.webhooks, sme, made.id)
            with pytest.raises(NotFound):
                await parts.webhooks.own(made.id, sme)
            came = len(receiver.came)
            await world.ask(purpose="credit_scoring")
            await asyncio.sleep(1.2)
            assert len(receiver.came) == came
            assert database.sql("SELECT url, salt FROM webhooks") == [("", "")]
        judge(database.sql)


async def test_registering_is_bounded_allowed_and_ones_own(database):
    async with world_on(database) as world:
        parts = world.parts
        with pytest.raises(BadInput) as refused:
            await hook(parts, world.sme, "https://elsewhere.example/")
        assert refused.value.code == "webhook_address_not_allowed"
        url = f"http://127.0.0.1:{free_port()}/"
        first = await hook(parts, world.sme, url, "key")
        assert (await hook(parts, world.sme, url, "key")).id == first.id
        auditor = await world.member(world.sme.org_id, "auditor")
        for act in (pause_webhook, resume_webhook, remove_webhook):
            with pytest.raises(Forbidden):
                await act(parts.webhooks, auditor, first.id)
        with pytest.raises(Forbidden):
            await hook(parts, auditor, url)
        for caller in (world.platform, world.operator):
            for act in (pause_webhook, resume_webhook, remove_webhook):
                with pytest.raises(NotFound):
                    await act(parts.webhooks, caller, first.id)
        for _ in range(9):
            await hook(parts, world.sme, url)
        with pytest.raises(Conflict):
            await hook(parts, world.sme, url)
        leaves = database.sql("SELECT entry FROM entries WHERE type LIKE '%webhook%'")
        assert len(leaves) == 10
        for (entry,) in leaves:
            assert b"127.0.0.1" not in bytes(entry)
            assert json.loads(bytes(entry))["data"]["url_commitment"]
