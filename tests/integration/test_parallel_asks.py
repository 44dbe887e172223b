"""Many at once, on one worker or two: one question one grant, one key one request, one end."""

import asyncio
from dataclasses import replace

import pytest

from exchange.access.revoke_grant import end_grants
from exchange.errors import BadInput
from exchange.formats import receipt as receipts
from exchange.formats.note import Verifier
from tests.support.desk import World, open_world
from tests.support.judge import judge
from tests.support.ledgers import OwnDatabase, open_exchange

PLACES = [
    pytest.param(("sqlite", 1), id="sqlite", marks=pytest.mark.sqlite),
    pytest.param(("postgres", 1), id="postgres", marks=pytest.mark.postgres),
    pytest.param(("postgres", 2), id="two workers", marks=pytest.mark.postgres),
]


@pytest.fixture(params=PLACES)
async def place(request, tmp_path):
    """The database, the world, and the parts of each worker."""
    kind, count = request.param
    database = OwnDatabase(kind, tmp_path / "state")
    async with open_exchange(database) as parts:
        world = await open_world(parts)
        if count == 1:
            yield database, world, [parts]
        else:
            async with open_exchange(database) as others:
                yield database, world, [parts, others]
    database.remove()


async def at_once(*calls):
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_one_question_from_32_tasks_is_one_grant(place):
    database, world, workers = place
    answers = await at_once(*(world.ask(parts=workers[n % len(workers)]) for n in range(32)))
    assert len({answer.grant.id for answer in answers}) == 1
    assert [answer.is_new for answer in answers].count(True) == 1
    verifier = Verifier.parse(world.parts.ledger.verifier_key)
    assert {receipts.verify(answer.receipt, verifier).index for answer in answers} == {
        answers[0].grant.leaf_index
    }
    judged = judge(database.sql)
    assert judged.count("grant.activated.v1") == 1
    assert len(database.sql("SELECT id FROM access_requests")) == 1


async def test_one_refusal_for_32_tasks_is_one_leaf(place):
    database, world, workers = place
    asks = (world.ask(days=91, parts=workers[n % len(workers)]) for n in range(32))
    answers = await at_once(*asks)
    assert {answer.status for answer in answers} == {"denied"}
    assert len({answer.request_id for answer in answers}) == 1
    assert judge(database.sql).count("decision.denied.v1") == 1


async def test_many_clients_ask_each_for_themselves(place):
    database, world, workers = place
    callers = [world.sme]
    for _ in range(7):
        client = await world.client(world.sme.org_id)
        callers.append(replace(world.sme, client_id=client.id))
    answers = await at_once(
        *(
            world.ask(caller, purpose=purpose, parts=workers[n % len(workers)])
            for n, caller in enumerate(callers)
            for purpose in ("logistics_planning", "scientific_research")
            for _ in range(2)
        )
    )
    assert len({answer.grant.id for answer in answers}) == 16
    assert judge(database.sql).count("grant.activated.v1") == 16


async def test_one_idempotency_key_in_parallel_is_one_request(place):
    database, world, workers = place
    answers = await at_once(
        *(world.ask(key="k", parts=workers[n % len(workers)]) for n in range(16))
    )
    assert len({answer.request_id for answer in answers}) == 1
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_one_key_for_two_questions_in_parallel_answers_one_and_refuses_the_other(place):
    database, world, workers = place
    purposes = ("logistics_planning", "scientific_research")
    answers = await at_once(
        *(
            world.ask(key="k", purpose=purposes[n % 2], parts=workers[n // 2 % len(workers)])
            for n in range(24)
        )
    )
    refused = [answer for answer in answers if isinstance(answer, BadInput)]
    assert len(refused) == 12
    assert {(error.code, error.status_code) for error in refused} == {
        ("idempotency_key_reused", 422)
    }
    granted = {a.request_id for a in answers if not isinstance(a, BadInput)}
    assert len(granted) == 1
    assert {isinstance(answer, BadInput) for answer in answers[::2]} != {True, False}
    assert judge(database.sql).count("grant.activated.v1") == 1


async def test_revoking_in_parallel_is_one_leaf(place):
    database, world, workers = place
    grant = (await world.ask()).grant
    done = await at_once(
        *(_as(world, workers[n % len(workers)]).revoke(grant.id) for n in range(12))
    )
    assert {held.status for held, _ in done} == {"revoked"}
    assert len([receipt for _, receipt in done if receipt is not None]) == 1
    assert judge(database.sql).count("grant.revoked.v2") == 1


async def test_withdrawing_in_parallel_is_one_leaf(place):
    database, world, workers = place
    await at_once(*(_as(world, workers[n % len(workers)]).withdraw() for n in range(8)))
    assert judge(database.sql).count("offering.withdrawn.v1") == 1


async def test_disabling_in_parallel_is_one_leaf(place):
    database, world, workers = place
    served = [_as(world, workers[n % len(workers)]) for n in range(3)]
    assert await at_once(*(each.disable(world.sme.client_id) for each in served)) == [None] * 3
    assert judge(database.sql).count("client.disabled.v1") == 1


async def test_two_sweepers_write_the_leaf_of_an_end_once(place):
    database, world, workers = place
    for purpose in ("logistics_planning", "scientific_research"):
        await world.ask(purpose=purpose)
    ends = "SELECT id, ends_ms FROM grants"
    before = dict(database.sql(ends))
    database.sql("UPDATE grants SET ends_ms = starts_ms")  # as if the days had passed
    sweeps = await at_once(
        *(end_grants(parts.ledger, parts.store) for parts in workers * 4 for _ in range(2))
    )
    assert sum(sweeps) == 2
    for grant_id, ends_ms in before.items():
        database.sql("UPDATE grants SET ends_ms = ? WHERE id = ?", ends_ms, grant_id)
    assert judge(database.sql).count("grant.ended.v1") == 2


async def test_a_revocation_and_a_question_at_once(place):
    """Whichever comes first: at most one grant is in force, and each has its leaves."""
    database, world, workers = place
    for turn in range(5):
        grant = (await world.ask()).grant
        calls = [world.ask(parts=workers[n % len(workers)]) for n in range(6)]
        calls.insert(turn, _as(world, workers[-1]).revoke(grant.id))
        answers = await at_once(*calls)
        (held, receipt) = answers.pop(turn)
        assert (held.id, held.status) == (grant.id, "revoked")
        assert receipt is not None
        assert {answer.status for answer in answers} == {"permitted"}
        assert len({answer.grant.id for answer in answers} - {grant.id}) <= 1
        active = database.sql("SELECT id FROM grants WHERE status = 'active'")
        assert len(active) <= 1
    judged = judge(database.sql)
    assert judged.count("grant.revoked.v2") == 5


def _as(world, parts):
    """The same people, served by another worker."""
    other = World(parts, world.operator)
    other.platform, other.sme, other.offering = world.platform, world.sme, world.offering
    return other
