"""A quota is exact at its edge: 64 callers at once, two workers on PostgreSQL, no excuse."""

import pytest

from tests.support.call_record import RecordingService
from tests.support.ledgers import OwnDatabase
from tests.support.quota import Edge
from tests.support.server import ExchangeServer

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quota")
    database = OwnDatabase("postgres", folder / "state")
    with (
        RecordingService(folder / "service.record") as service,
        ExchangeServer(database.state, database_url=database.url, workers="2") as server,
    ):
        yield Edge(server, database, service)
    database.remove()


@pytest.mark.parametrize("quota", [1, 17, 63, 64])
async def test_the_last_call_is_given_once_and_nobody_is_refused_for_contention(edge, quota):
    await edge.calls(quota)


@pytest.mark.parametrize(("quota", "files"), [(63, 64), (5, 8)])
async def test_the_last_session_is_opened_once_and_whoever_wants_its_file_joins_it(
    edge, quota, files
):
    await edge.sessions(quota, files)


@pytest.mark.parametrize(("quota", "each"), [(63_999, 1000), (1001, 1000)])
async def test_the_last_bytes_are_given_once(edge, quota, each):
    await edge.bytes(quota, each)


def test_all_of_it_adds_up(edge):
    edge.judge()
