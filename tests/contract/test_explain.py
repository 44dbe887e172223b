"""Would I get this: what may be supposed, and what would make it a yes."""

import pytest

from exchange.access.explain_access import Supposed, explain_access
from exchange.access.model import Ask
from exchange.errors import BadInput
from tests.support.desk import open_world


@pytest.fixture
async def world(exchange):
    return await open_world(exchange)


WRONG = {
    "jurisdiction": "China",
    "industry": "zzz",
    "headcount": "many",
    "revenue_cny_10k": "9",
    "assets_cny_10k": "abc",
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_supposed_of_an_attribute_follows_its_rules(world, name):
    stranger = await world.join("sme")
    ask = Ask(world.offering.id, "logistics_planning", ("read",), 30)
    with pytest.raises(BadInput) as refused:
        await explain_access(
            world.parts.desk, stranger, ask, {name: Supposed(WRONG[name], "verified")}
        )
    assert (refused.value.code, refused.value.status_code) == ("attribute_invalid", 422)
    assert name in refused.value.detail


async def test_changes_name_every_remedy_of_a_round_that_cannot_be_followed(world):
    world.offering = await world.publish(min_evidence="certified")
    known = await world.join("sme", {"jurisdiction": ("CN", "verified")})
    ask = Ask(world.offering.id, "marketing", ("read",), 30)
    found = await explain_access(world.parts.desk, known, ask, {})
    named = {(each.code, each.params.get("attribute")) for each in found.decision.remedies}
    assert ("declare_attribute", "industry") in named
    assert ("raise_evidence", "jurisdiction") in named
    assert {(each.code, each.params.get("attribute")) for each in found.changes} == named
    assert found.after is None
