"""A quota is exact at its edge: 64 callers at once, two workers on PostgreSQL, no excuse."""

import pytest

from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish_service
from tests.support.ledgers import OwnDatabase
from tests.support.quota import reached, rush
from tests.support.server import ExchangeServer
from tests.support.upstream import Upstream

pytestmark = pytest.mark.postgres
CALLERS = 64


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    made = OwnDatabase("postgres", tmp_path_factory.mktemp("quota") / "state")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(database):
    with ExchangeServer(database.state, database_url=database.url, workers="2") as running:
        yield running


@pytest.mark.parametrize("quota", [1, 17, 63, 64])
async def test_the_last_call_is_given_once_and_nobody_is_refused_for_contention(
    server, database, quota
):
    by = operator(server.state)
    platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
    sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
    with Upstream() as service:
        offering = publish_service(platform, service.url, "GET /*", limits={"calls": quota})
        grant = ask(sme, offering, actions=["call"])["grant"]["id"]
        path = f"/gateway/grants/{grant}/call/stats"
        told = await rush([server.url], path, sme.token(f"grant:{grant}"), CALLERS)
        expected = {"200": quota, "calls_exhausted": CALLERS - quota}
        assert told == {k: v for k, v in expected.items() if v}
        uses = reached(service, grant)
    assert len(uses) == len(set(uses)) == quota
    recorded = database.sql(f"SELECT id FROM uses WHERE grant_id = '{grant}'")
    assert {use for (use,) in recorded} == set(uses)
    left = sme.get(f"/v1/grants/{grant}/usage")
    assert (left["uses"], left["sessions"]) == (quota, 1)
    assert [each["left"] for each in left["allowances"]] == [0]
