"""A revocation cuts what runs on the worker that was told, and on the other."""

import pytest

from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish, publish_service
from tests.support.ledgers import OwnDatabase
from tests.support.running import on_each
from tests.support.server import ExchangeServer
from tests.support.upstream import Came, Upstream, Visit
from tests.unit.connectors.served import until

pytestmark = pytest.mark.postgres
SIZE = 64 << 20
RUNS = "SELECT id FROM uses WHERE grant_id = ? AND id NOT IN (SELECT use_id FROM use_ends)"


async def events(visit: Visit, _came: Came) -> None:
    """Server-sent events without end."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
    await visit.send(head + b"\r\n\r\n")
    while True:
        await visit.send(b"9\r\ndata: 1\n\n\r\n", every=0.02)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    database = OwnDatabase("postgres", tmp_path_factory.mktemp("cut") / "state")
    with (
        Upstream(events) as service,
        ExchangeServer(database.state, database_url=database.url, workers="2") as server,
    ):
        platform = join(operator(server.state), "Platform", ["platform"])
        yield database, server, platform, service
        until(lambda: not service.open)
    database.remove()


@pytest.mark.parametrize("what", ["a file", "a call"])
def test_streams_on_both_workers_are_cut(place, what):
    database, server, platform, service = place
    sme = join(operator(server.state), "SME", ["sme"], SME_ATTRIBUTES)
    if what == "a file":
        grant = ask(sme, publish(platform, bytes(SIZE)))["grant"]["id"]
        path = f"/gateway/grants/{grant}/files/data.bin"
    else:
        offering = publish_service(platform, service.url, "GET /*")
        grant = ask(sme, offering, actions=["call"])["grant"]["id"]
        path = f"/gateway/grants/{grant}/call/events"
    with on_each(server, path, sme.token(f"grant:{grant}")) as running:
        assert len(running) == 2
        assert not any(stream.over.is_set() for stream in running)
        platform.post(f"/v1/grants/{grant}/revoke", {})
        until(lambda: not database.sql(RUNS, grant), 30)  # as the exchange wrote it down
        for stream in running:
            stream.hurry()
            assert stream.over.wait(30), "it is still delivered"
            assert not stream.whole
