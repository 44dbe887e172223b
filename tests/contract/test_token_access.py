"""A token request is an access request: permitted, pending, denied, in one answer; on both
databases, over the token endpoint's own HTTP."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import asyncio

import pytest

from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from exchange.ledger.write import Update, Write
from exchange.participants.store import CLIENTS
from tests.support.desk import KEY
from tests.support.judge import judge
from tests.support.token_requests import Program
from tests.support.web_world import web, world
from tests.unit.oauth.world import claims_of


@pytest.fixture
def program(web, world):
    return Program(web.http, web.parts.settings.issuer_url, world.sme.client_id, KEY)


def details(world, **changes):
    asked = {
        "type": "dataset",
        "offering": world.offering.id,
        "purpose": "logistics_planning",
        "actions": ["read"],
        "days": 30,
    }
    return [{name: value for name, value in (asked | changes).items() if value is not None}]


async def test_a_permit_is_grant_receipt_and_token_in_one_answer(database, web, world, program):
    answer = await program.ask(authorization_details=details(world))
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["token_type"], told["expires_in"]) == ("DPoP", 300)
    grant = await web.parts.store.grant(told["grant_id"])
    assert (grant.client_id, grant.request_id) == (world.sme.client_id, told["access_request"])
    verified = receipts.verify(
        receipts.parse(told["receipt"]), Verifier.parse(web.parts.ledger.verifier_key)
    )
    assert verified.event["data"]["grant_id"] == grant.id
    claims = claims_of(told["access_token"])
    assert claims["aud"] == web.parts.settings.connector_url
    assert claims["cnf"] == {"jkt": program.prover.jkt}
    assert claims["grant_id"] == grant.id
    assert claims["authorization_details"] == told["authorization_details"]
    assert told["authorization_details"][0]["actions"] == ["read"]
    # It opens the gateway, with its proof.
    path = f"/gateway/grants/{grant.id}/files/data.bin"
    shown = program.shows(told["access_token"], "GET", path)
    assert (await web.http.get(path, headers=shown)).status_code == 200
    judge(database.sql)


async def test_a_token_of_a_standing_grant_adds_no_leaf(database, web, world, program):
    first = (await program.ask(authorization_details=details(world))).json()
    size = await web.parts.ledger.size()
    again = (await program.ask(authorization_details=details(world))).json()
    assert again["grant_id"] == first["grant_id"]
    assert "receipt" not in again
    longer = (await program.ask(authorization_details=details(world, days=60))).json()
    assert longer["grant_ends_at"] == first["grant_ends_at"]  # renewing is another request
    by_id = details(world, offering=None, purpose=None, days=None, grant_id=first["grant_id"])
    named = (await program.ask(authorization_details=by_id)).json()
    assert named["authorization_details"] == first["authorization_details"]
    scoped = (await program.ask(scope=f"grant:{first['grant_id']}")).json()
    assert scoped["authorization_details"] == first["authorization_details"]
    assert await web.parts.ledger.size() == size
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_who_waits_is_told_so_and_stays_one_request(database, web, world, program):
    world.offering = await world.revise(approval="provider")
    approver = await world.member(world.platform.org_id, "approver")
    told = [(await program.ask(authorization_details=details(world))).json() for _ in range(3)]
    for each in told:
        assert each["error"] == "authorization_pending"
        assert each["interval"] == 10
        request = each["access_request"]
        assert each["access_request_uri"].endswith(f"/v1/access-requests/{request}")
        assert request == told[0]["access_request"]
    await world.approve(told[0]["access_request"], approver)
    answer = await program.ask(authorization_details=details(world))
    assert answer.status_code == 200, answer.text
    assert answer.json()["access_request"] == told[0]["access_request"]
    counts = judge(database.sql)
    assert counts.count("decision.needs_approval.v1") == 1
    assert counts.count("grant.activated.v1") == 1


async def test_a_rejection_ends_the_polling(database, web, world, program):
    """Else a program that polls would ask anew for ever, each time a request of its own."""
    world.offering = await world.revise(approval="provider")
    first = (await program.ask(authorization_details=details(world))).json()
    approver = await world.member(world.platform.org_id, "approver")
    await world.act("reject", first["access_request"], approver, "与用途不符。")
    for _ in range(2):
        told = (await program.ask(authorization_details=details(world))).json()
        assert told["error"] == "access_denied"
        assert told["access_request"] == first["access_request"]
        closed = {"kind": "rejected", "text": "与用途不符。"}
        assert told["closed"]["kind_text"] == "The platform rejected the request."
        assert {name: told["closed"][name] for name in closed} == closed
        assert told["reasons"] == []
        assert told["error_description"].startswith("The request was rejected. POST")
    anew = await world.ask()  # as POST /v1/access-requests does
    assert anew.request_id != first["access_request"]
    told = (await program.ask(authorization_details=details(world))).json()
    assert (told["error"], told["access_request"]) == ("authorization_pending", anew.request_id)
    judge(database.sql)


async def test_what_people_took_away_does_not_come_back_by_polling(database, web, world, program):
    first = (await program.ask(authorization_details=details(world))).json()
    await world.revoke(first["grant_id"], reason="no_longer_offered")
    world.offering = await world.revise(title_en="A new version")
    for asked in (details(world), details(world, days=60), details(world)):
        told = (await program.ask(authorization_details=asked)).json()
        assert (told["error"], told["grant_id"]) == ("access_denied", first["grant_id"])
        assert "revoked" in told["error_description"]
    anew = await world.ask()  # as POST /v1/access-requests does
    again = (await program.ask(authorization_details=details(world))).json()
    assert again["grant_id"] == anew.grant.id != first["grant_id"]
    judge(database.sql)


async def test_a_hold_stops_tokens_at_once_and_its_end_lets_them(database, web, world, program):
    first = (await program.ask(authorization_details=details(world))).json()
    by_id = details(world, offering=None, purpose=None, days=None, grant_id=first["grant_id"])
    for target in (first["grant_id"], world.offering.id, world.sme.org_id, world.platform.org_id):
        hold = await world.suspend(target)
        for asked in (details(world), by_id):
            told = (await program.ask(authorization_details=asked)).json()
            assert told["error"] == "access_denied", (target, told)
        await world.lift(hold.id)
        for asked in (details(world), by_id):
            told = (await program.ask(authorization_details=asked)).json()
            assert told.get("grant_id", first["grant_id"]) == first["grant_id"], (target, told)
            assert "access_token" in told
    judge(database.sql)


async def test_a_denial_says_why_and_what_would_help(database, web, world, program):
    for lang, words in (("en", "90"), ("zh", "90")):
        asked = details(world, days=400)
        told = (await program.ask(authorization_details=asked, lang=lang)).json()
        assert told["error"] == "access_denied"
        assert [each["code"] for each in told["reasons"]] == ["duration_too_long"]
        assert words in told["remedies"][0]["text"]
        assert told["error_description"].isascii()
    judge(database.sql)


async def test_the_operator_sees_whose_requests_fail_and_why(web, world, program, caplog):
    with caplog.at_level("INFO", "exchange.access"):
        await program.ask(authorization_details=details(world))
        form = program.form(authorization_details="[]")
        await program.send(form, program.proof())
        await program.send(form, program.proof())  # its assertion was used by the refusal
        await program.send(program.form(client_assertion="x.y.z"))
    lines = [vars(each) for each in caplog.records if vars(each)["route"] == "/oauth/token"][1:]
    told = [(each.get("client_id"), each.get("code")) for each in lines]
    me = program.client_id
    assert told == [
        (me, None),
        (me, "invalid_authorization_details"),
        (me, "invalid_client"),
        (None, "invalid_client"),
    ]
    assert all(each["address"] for each in lines[1:])
    assert not any("eyJ" in str(value) for each in lines for value in each.values())


async def test_what_cannot_be_asked_leaves_nothing(database, web, world, program):
    size = await web.parts.ledger.size()
    for changes in (
        {"offering": "off_" + "0" * 26},
        {"type": "compute"},
        {"form": {"use": "x"}},
        {"accepted_terms": "sha256:" + "0" * 64},
        {"actions": ["write"]},
        {"days": 0},
        {"colour": "red"},
        {"grant_id": "grt_0000_" + "0" * 26},
    ):
        told = await program.ask(authorization_details=details(world, **changes))
        assert (told.status_code, told.json()["error"]) == (400, "invalid_authorization_details")
    assert await web.parts.ledger.size() == size


async def test_no_more_than_the_grant_allows(database, web, world, program):
    grant = (await program.ask(authorization_details=details(world))).json()["grant_id"]
    for wider in ({"actions": ["call", "read"]}, {"actions": ["call"]}, {"type": "compute"}):
        asked = [{"type": "dataset", "grant_id": grant} | wider]
        told = await program.ask(authorization_details=asked)
        assert told.json()["error"] == "invalid_authorization_details", told.text


async def test_sixteen_at_once_are_one_grant(database, web, world, program):
    await program.ask(scope="catalog")  # its nonce
    asked = [program.ask(authorization_details=details(world)) for _ in range(16)]
    answers = [answer.json() for answer in await asyncio.gather(*asked)]
    assert len({each.get("grant_id", str(each)) for each in answers}) == 1
    assert sum("receipt" in each for each in answers) == 1
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_an_assertion_that_was_used_gives_no_grant(database, web, world, program):
    used = program.form(scope="catalog")
    assert (await program.send(used)).status_code == 200
    again = {**used, "authorization_details": str(details(world)).replace("'", '"')}
    del again["scope"]
    told = await program.send(again)
    assert told.json()["error"] == "invalid_client", told.text
    assert judge(database.sql).count("grant.activated.v1") == 0


async def test_a_proof_that_was_used_gives_no_grant(database, web, world, program):
    await program.ask(scope="catalog")
    proof = program.proof()
    assert (await program.send(program.form(scope="catalog"), proof)).status_code == 200
    form = program.form(authorization_details=str(details(world)).replace("'", '"'))
    told = await program.send(form, proof)
    assert told.json()["error"] == "invalid_dpop_proof", told.text
    assert judge(database.sql).count("grant.activated.v1") == 0


async def test_a_key_that_was_taken_away_meanwhile_gets_nothing(database, web, world, program):
    """What authenticated the client is rechecked in the very write that grants."""
    client = await web.parts.participants.client(world.sme.client_id)
    await program.ask(scope="catalog")  # cached
    update = Update(CLIENTS, client.id, client.rev, {"status": "disabled"})
    await web.parts.ledger._writer.commit(Write(updates=[update]))
    told = await program.ask(authorization_details=details(world))
    assert told.json()["error"] == "invalid_client"
    assert database.sql("SELECT id FROM grants") == []
