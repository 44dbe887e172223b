"""Every entry of a whole story has the form that its schema states, and every schema is met."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

import exchange.ledger
from exchange.access.allowance import UseOf
from exchange.access.chase_requests import chase_requests
from exchange.access.close_sessions import close_sessions
from exchange.access.record_use import record_use
from exchange.access.revoke_grant import end_grants
from exchange.access.running import end_use
from exchange.asked import Asked
from exchange.clock import now_ms
from exchange.connections.rotate_master import retire_master, rotate_master
from exchange.formats import canonical
from exchange.formats.tokens import ApiToken, generate_client_key, public_jwks
from exchange.oauth.keys import schedule_token_key
from exchange.oauth.model import Party
from exchange.oauth.revoke import revoke_token
from exchange.oauth.rotate_keys import retire_token_keys, rotate_token_keys
from exchange.outward.allow import AllowList
from exchange.participants.change_client import add_key, replace_secret
from exchange.participants.change_member import remove_member, set_member_roles
from exchange.participants.decide_client import decide_client
from exchange.participants.end_engagement import end_engagement, end_engagements
from exchange.participants.invite_client import (
    invite_client,
    register_invited_client,
    withdraw_client_invitation,
)
from exchange.participants.model import Profile
from exchange.participants.record_read import ReadRecorder
from exchange.participants.register_client import register_client
from exchange.participants.secrets import make_secret
from exchange.webhooks.register_webhook import register_webhook, remove_webhook
from tests.support.connections import STORE, Platform, keys
from tests.support.desk import JWKS, open_world
from tests.support.judge import judge
from tests.support.ledgers import open_exchange

FOLDER = Path(exchange.ledger.__file__).parent / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
ENVELOPE = {
    "specversion": r"1\.0",
    "id": r"evt_[0-9a-z]{4}_[0-9a-hjkmnp-tv-z]{26}",
    "source": r"urn:exchange:log:\S+",
    "type": r"exchange\.[a-z_]+\.[a-z_]+\.v[123]",
    "subject": r"[a-z0-9_]+",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "datacontenttype": "application/json",
    "dataschema": r"urn:exchange:schema:[a-z_.0-9]+",
    "nonce": "[0-9a-f]{32}",
}
FORMER = {"delivery.closed.v1", "grant.revoked.v1"}  # of entries that are in logs already
NAMES = ("Flights", "Yearly", "航班", "data.bin", "software_it_services", "Anna")


@pytest.fixture
async def story(sqlite):
    """Everything that leaves a leaf has happened; the entries."""
    async with open_exchange(sqlite) as parts:
        await tell(sqlite, parts)
    return [bytes(row[0]) for row in sqlite.sql("SELECT entry FROM entries ORDER BY leaf_index")]


async def tell(sqlite, parts):
    world = await open_world(parts)
    first = (await world.ask()).grant
    await world.ask(purpose="credit_scoring")
    client = await parts.participants.client(world.sme.client_id)
    what = UseOf("data.bin", "ab" * 32, "GET", 0, 9)
    use = await record_use(parts.desk, first, client, what, 15)
    await end_use(parts.store, use, 10, complete=True)
    await world.revoke(first.id)
    await world.ask()
    await hold(world)
    past = "UPDATE {} SET {} = 1"
    sqlite.sql(past.format("sessions", "expires_ms"))
    assert await close_sessions(parts.ledger) == 1
    await world.revise(max_days=7)
    world.offering = await world.publish(approval="provider", max_sessions=2)
    await world.ask()
    await live(sqlite, world)
    await world.withdraw()
    await world.set_attribute(world.sme.org_id, "headcount", 50)
    await hook(sqlite, parts, world.sme)
    await connect(world)
    await engage(sqlite, world)
    await clients(world)
    await tokens(world)
    await world.disable(world.sme.client_id)
    owner = await world.member(world.sme.org_id, "owner")
    anna = await world.member(world.sme.org_id, "developer", by=owner)
    chain = (parts.ledger, parts.participants, owner, anna.member_id)
    await set_member_roles(*chain, frozenset({"auditor"}))
    await remove_member(*chain)
    judge(sqlite.sql)
    grants = sqlite.sql("SELECT id FROM grants WHERE status = 'active'")
    assert len(grants) == 1
    sqlite.sql(past.format("grants", "ends_ms"))
    assert await end_grants(parts.ledger, parts.store) == 1


async def hold(world):
    """A hold on each kind of thing, with words, and its lifting."""
    grant = (await world.ask(purpose="scientific_research")).grant
    for target in (grant.id, world.offering.id, world.sme.org_id):
        held = await world.suspend(target, text="航班 of data.bin")
        await world.lift(held.id, text="Flights again.")
    await world.revoke(grant.id, text="Flights resold.")


async def live(sqlite, world):
    """Each step of a request's life, and a renewal."""
    people = [await world.member(world.platform.org_id, "approver") for _ in range(2)]
    request = (await world.ask(purpose="scientific_research")).request_id
    await world.act("ask", request, people[0], "For which flights?")
    await world.act("answer", request, world.sme, "航班 of data.bin")
    await world.act("comment", request, world.sme, "Flights only.")
    await world.act("reject", request, people[0], "No.")
    await world.act("appeal", request, world.sme, "Yes.")
    await world.act("withdraw", request, world.sme)
    request = (await world.ask(purpose="scientific_research")).request_id
    for column in ("remind_ms", "until_ms"):
        sqlite.sql(f"UPDATE access_requests SET {column} = 1 WHERE id = ?", request)
        assert await chase_requests(world.parts.desk) == 1
    request = (await world.ask(purpose="scientific_research", days=3)).request_id
    grant = (await world.approve(request, people[1])).answer.grant
    renewal = await world.renew(grant.id, 60)
    await world.approve(renewal.request_id, people[1])
    await world.revoke(grant.id)


async def engage(sqlite, world):
    """An auditor of one organisation and of the whole log reads; one is ended, one is over."""
    store = world.parts.engagements
    auditor = await world.join("auditor")
    named = await world.engage(auditor.org_id, world.sme.org_id)
    record = ReadRecorder(world.parts.ledger, world.parts.participants)
    assert await record(await world.seen(auditor), Asked("grants", {"offering_id": "Flights"}))
    await end_engagement(store, auditor, named.id)
    sqlite.sql("UPDATE engagements SET ends_ms = 1")
    assert await end_engagements(store) == 1


async def connect(world):
    """A connection registered, changed, given another credential, removed; keys rotated."""
    parts, platform = world.parts, Platform(world.parts, world.platform)
    chain = (parts.ledger, parts.connection_desk.store, parts.connection_desk.vault)
    made = await platform.store(name="Flights 航班")
    await platform.change(made.id, STORE, keys())
    await platform.service()
    await rotate_master(*chain, world.operator)
    await platform.remove(made.id)
    await retire_master(*chain, world.operator)


async def clients(world):
    """A program that comes in by an invitation, one that is turned away; keys, a secret."""
    parts, by, org = world.parts, world.operator, world.sme.org_id
    chain = (parts.ledger, parts.participants)
    unused, _ = await invite_client(*chain, by, org)
    await withdraw_client_invitation(*chain, by, unused.id)
    for approve in (True, False):
        _, token = await invite_client(*chain, by, org, may_have_secret=True)
        more = {"name": "Flights", "jwks": JWKS, "profile": Profile(dpop_bound=True)}
        waiting = await register_invited_client(*chain, token=token, **more)
        await decide_client(*chain, by, waiting.id, approve=approve)
        if approve:
            key = public_jwks(generate_client_key())["keys"][0]
            await add_key(*chain, by, waiting.id, key)
    secret = make_secret(parts.secret_key)
    kept = Profile("client_secret_basic", secret_hash=secret.hash)
    program = {"name": "a", "jwks": {"keys": []}, "profile": kept}
    made = await register_client(*chain, by, org, **program)
    await replace_secret(*chain, by, made.id, make_secret(parts.secret_key))


async def tokens(world):
    """A token that is given up; keys of tokens, rotated and retired."""
    parts = world.parts
    client = await parts.participants.client(world.sme.client_id)
    consumer = await parts.participants.organisation(world.sme.org_id)
    now = now_ms() // 1000
    token = ApiToken(client.id, consumer.id, frozenset(), "jti", now, now + 300, None)
    assert await revoke_token(parts.ledger, Party(client, consumer), token)
    chain = (parts.ledger, parts.token_keys, world.operator)
    await rotate_token_keys(*chain, at_once=False)
    for kid, _ in parts.token_keys.schedule:
        schedule_token_key(parts.token_keys.path, kid, 0)
    await retire_token_keys(*chain)


async def hook(sqlite, parts, caller):
    """A webhook that fails for three days, and is removed."""
    allow = AllowList("127.0.0.1:9")
    made = await register_webhook(
        parts.webhooks, parts.participants, allow, caller, "http://127.0.0.1:9/"
    )
    async with asyncio.timeout(20):
        while (await parts.webhooks.webhook(made.id)).status != "paused":
            sqlite.sql("UPDATE webhooks SET failing_since_ms = 1, failures = 1, next_try_ms = 0")
            await asyncio.sleep(0.2)
    await remove_webhook(parts.webhooks, caller, made.id)


async def test_every_entry_has_the_form_of_its_schema(story):
    met = set()
    for entry in story:
        event = canonical.decode(entry)
        kind = event["dataschema"].removeprefix("urn:exchange:schema:")
        assert event["type"] == f"exchange.{kind}"
        assert set(event) == {*ENVELOPE, "data"}
        for name, pattern in ENVELOPE.items():
            assert re.fullmatch(pattern, event[name]), (name, event[name])
        Draft202012Validator(SCHEMAS[kind]).validate(event["data"])
        met.add(kind)
    assert met == set(SCHEMAS) - FORMER


async def test_entries_hold_codes_and_ids_and_no_names(story):
    """Tiles are public and entries are for ever: whatever a person or a firm says stays out."""
    for entry in story:
        for name in NAMES:
            assert name.encode() not in entry, canonical.decode(entry)


async def test_schemas_are_strict(story):
    """A member more, a member less, another type: refused."""
    for entry in story:
        event = canonical.decode(entry)
        data = event["data"]
        validator = Draft202012Validator(SCHEMAS[event["type"].removeprefix("exchange.")])
        changed = [{**data, "surprise": 1}]
        changed += [{k: v for k, v in data.items() if k != name} for name in data]
        changed += [{**data, name: {"no": "such"}} for name in data]
        for document in changed:
            with pytest.raises(ValidationError):
                validator.validate(document)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_says_what_it_is(kind):
    schema = SCHEMAS[kind]
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:exchange:schema:{kind}"
    assert schema["title"] == kind
    assert schema["description"]
    assert schema["additionalProperties"] is False
    assert sorted(schema["required"]) == sorted(schema["properties"])
