"""What a caller is told of a call that takes long, breaks off, or is refused by the service."""

import json
import subprocess
import threading
import time
from dataclasses import asdict

import httpx
import pytest

from exchange.client import AsyncExchange, CallCut, Exchange, NotReachable, Refused, ServiceRefused
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish_service
from tests.support.commands import COMMAND, environment, exchange
from tests.support.server import ExchangeServer
from tests.support.upstream import Came, Upstream, Visit, raw
from tests.support.upstream import answer as upstream_answer

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = b"Content-Type: text/plain"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("cut") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def platform(server):
    return join(operator(server.state), "Platform", ["platform"], {"jurisdiction": "CN"})


@pytest.fixture(scope="module")
def sme(server):
    return join(operator(server.state), "SME", ["sme"], SME_ATTRIBUTES)


@pytest.fixture
def service():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def client(sme):
    with Exchange(sme.profile) as opened:
        yield opened


@pytest.fixture
def grant(platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*", "POST /*")
    return ask(sme, offering, actions=["call"])["grant"]["id"]


@pytest.fixture
def folder(sme, tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps(asdict(sme.profile)))
    return tmp_path


async def endless(visit: Visit, _came: Came) -> None:
    await visit.send(CHUNKED)
    while True:
        await visit.send(b"1\r\nx\r\n", every=0.02)


def after(seconds: float):
    async def act(visit: Visit, came: Came) -> None:
        await visit.send(b"", every=seconds)
        await visit.send(upstream_answer(b"late"))

    return act


def test_a_call_may_take_longer_than_other_requests(client, sme, grant, service):
    client.call(grant, "x")  # the token is there
    client.session.http.timeout = httpx.Timeout(1.0)
    service.act = after(2.0)
    assert client.call(grant, "x").content == b"late"
    with pytest.raises(NotReachable, match="ReadTimeout"):
        client.call(grant, "x", timeout=0.3)


async def test_on_an_event_loop_too(sme, grant, service):
    async with AsyncExchange(sme.profile) as client:
        await client.call(grant, "x")
        client.session.http.timeout = httpx.Timeout(1.0)
        service.act = after(2.0)
        assert (await client.call(grant, "x")).content == b"late"


def test_the_command_waits_as_long_as_it_is_told(folder, grant, service):
    service.act = after(2.0)
    cut = exchange("grant", "call", grant, "x", "--timeout", "0.3", cwd=folder)
    assert (cut.returncode, "ReadTimeout" in cut.stderr) == (2, True), cut.stderr


def test_a_revocation_during_a_call_is_told_by_whom_and_why(client, platform, grant, service):
    service.act = endless
    body = {"reason": "no_longer_offered", "text": "We move."}
    threading.Timer(0.3, platform.post, (f"/v1/grants/{grant}/revoke", body)).start()
    with pytest.raises(CallCut) as cut:
        client.call(grant, "sse", on_piece=lambda _: None)
    assert cut.value.code == "grant_revoked"
    assert "We move." in str(cut.value)
    assert cut.value.hint


def test_a_revocation_before_the_answer_is_no_end_of_its_time(client, platform, grant, service):
    async def hang(visit: Visit, _came: Came) -> None:
        platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other", "text": "We move."})
        await visit.hang()

    service.act = lambda visit, came: hang(visit, came)
    with pytest.raises(Refused) as refused:
        client.call(grant, "x")
    assert refused.value.code == "grant_revoked"
    assert "time is over" not in str(refused.value)
    assert "We move." in str(refused.value)


def test_what_goes_on_beyond_a_limit_is_told_as_that(client, platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*", source={"max_response_bytes": 1000})
    grant = ask(sme, offering, actions=["call"])["grant"]["id"]
    service.act = endless_pieces(100)
    with pytest.raises(CallCut) as cut:
        client.call(grant, "x")
    assert (cut.value.code, "1,000" in cut.value.detail) == ("answer_too_large", True)
    service.act = raw(CHUNKED, b"1\r\nx\r\n", close=True)
    with pytest.raises(CallCut) as cut:
        client.call(grant, "x")
    assert cut.value.code == "call_cut"


def test_bytes_used_up_midway_are_told_as_that(client, platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*", limits={"bytes": 1000})
    grant = ask(sme, offering, actions=["call"])["grant"]["id"]
    service.act = endless_pieces(100)
    with pytest.raises(CallCut) as cut:
        client.call(grant, "x")
    assert (cut.value.code, "1,000" in cut.value.detail) == ("bytes_exhausted", True)


def endless_pieces(size: int):
    async def act(visit: Visit, _came: Came) -> None:
        await visit.send(CHUNKED)
        while True:
            await visit.send(b"%x\r\n" % size + bytes(size) + b"\r\n", every=0.01)

    return act


def test_the_command_says_why_and_ends_with_1(folder, platform, grant, service):
    service.act = endless
    running = subprocess.Popen(
        [*COMMAND, "grant", "call", grant, "sse", "-o", "out"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    (folder / "out").write_bytes(b"of yesterday")
    service.wait_for(1, 30)
    while not (folder / "out.part").exists() or not (folder / "out.part").stat().st_size:
        assert running.poll() is None
        time.sleep(0.02)
    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other", "text": "We move."})
    _, told = running.communicate(timeout=60)
    assert running.returncode == 1, told
    assert "grant_revoked" in told
    assert "We move." in told
    assert "Is it running" not in told
    assert (folder / "out").read_bytes() == b"of yesterday"
    assert set((folder / "out.part").read_bytes()) == {ord("x")}
    (folder / "out.part").unlink()
    refused = exchange("grant", "call", grant, "x", "-o", "out", cwd=folder)
    assert refused.returncode == 1
    assert sorted(p.name for p in folder.iterdir()) == ["out", "profile.json"]
    assert (folder / "out").read_bytes() == b"of yesterday"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("400 Bad Request", b"by is missing!", TEXT),
        ("400 Bad Request", b'{"errors":["by"]}', b"Content-Type: application/json"),
        ("400 Bad Request", b'{"error":"invalid_client"}', b"Content-Type: application/json"),
        ("403 Forbidden", b'{"type":"urn:exchange:problem:grant_revoked"}', b"X: y"),
        ("400 Bad Request", b"use_dpop_nonce", b"DPoP-Nonce: n"),
        ("500 Oh", b"", b"Exchange-Use: forged"),
    ],
)
def test_what_the_service_says_is_the_services(client, grant, service, status, body, kind):
    service.act = raw(upstream_answer(body, status, kind))
    with pytest.raises(ServiceRefused) as refused:
        client.call(grant, "x")
    assert refused.value.status == int(status[:3])
    assert refused.value.content == body
    assert body.decode() in str(refused.value)
    assert refused.value.headers["exchange-use"] != "forged"
    assert len(service.came) == 1


def test_a_service_that_speaks_well_of_itself_is_not_the_gateway(client, platform, grant, service):
    service.act = raw(upstream_answer(b"ok", "200 OK", b"Exchange-Use: forged"))
    assert client.call(grant, "x").headers["exchange-use"].startswith("use_")
    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other"})
    with pytest.raises(Refused) as refused:
        client.call(grant, "x")
    assert "grant" in refused.value.document


def test_the_command_shows_what_the_service_said(folder, grant, service):
    service.act = raw(upstream_answer(b"by is missing!\x1b[2J", "400 Bad Request", TEXT))
    said = exchange("grant", "call", grant, "x", cwd=folder)
    assert (said.returncode, said.stdout) == (1, "")
    assert "400" in said.stderr
    assert "by is missing!\\u001b[2J" in said.stderr
    told = exchange("grant", "call", grant, "x", "--json", cwd=folder)
    assert json.loads(told.stdout)["body"].startswith("by is missing!")
    assert json.loads(told.stdout)["status"] == 400


def test_a_query_in_the_path_is_told_how(folder, grant, service):
    wrong = exchange("grant", "call", grant, "stats?by=x", cwd=folder)
    assert (wrong.returncode, "--param" in wrong.stderr) == (2, True)
    assert not service.came


def test_an_answer_in_a_coding_that_nobody_asked_for_is_read(client, grant, service):
    import gzip

    coded = gzip.compress(b'{"a": 1}')
    service.act = raw(upstream_answer(coded, "200 OK", b"Content-Encoding: gzip"))
    assert client.call(grant, "x").json() == {"a": 1}
    assert service.came[0].one("accept-encoding") == "identity"
