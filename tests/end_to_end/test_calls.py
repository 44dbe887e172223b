"""Calls through a whole exchange: a platform's connection, its offering, a grant, a use a call."""

import json
import threading
import time
from dataclasses import asdict

import httpx
import pytest

from exchange.client import AsyncExchange, Exchange, Refused
from exchange.client.session import Refusal
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish_service
from tests.support.commands import exchange
from tests.support.server import ExchangeServer
from tests.support.upstream import Came, Upstream, Visit
from tests.support.upstream import answer as upstream_answer

PLANTED = "planted-9f8e7d6c5b4a"  # the credential that publish_service gives


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ExchangeServer(tmp_path_factory.mktemp("calls") / "state") as running:
        yield running


@pytest.fixture(scope="module")
def platform(server):
    return join(operator(server.state), "Platform", ["platform"], {"jurisdiction": "CN"})


@pytest.fixture
def sme(server):
    return join(operator(server.state), "SME", ["sme"], SME_ATTRIBUTES)


@pytest.fixture
def service():
    with Upstream() as upstream:
        yield upstream


def granted(sme, offering) -> str:
    return ask(sme, offering, actions=["call"])["grant"]["id"]


def call(sme, grant: str, path: str, method="GET", **options) -> httpx.Response:
    return sme.http.request(
        method, f"/gateway/grants/{grant}/call/{path}", headers=headers(sme, grant), **options
    )


def headers(sme, grant: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {sme.token(f'grant:{grant}')}"}


def test_a_call_goes_through_and_its_use_is_told_to_the_platform(platform, sme, service):
    offering = publish_service(platform, service.url + "/v1", "GET /stats/*", "POST /query")
    grant = granted(sme, offering)
    answer = call(sme, grant, "stats/delays?by=carrier")
    assert (answer.status_code, answer.json()) == (200, {})
    assert call(sme, grant, "query", "POST", json={"a": 1}).status_code == 200
    first, second = service.came
    assert (first.target, second.target) == ("/v1/stats/delays?by=carrier", "/v1/query")
    assert bytes(second.body) == b'{"a":1}'
    assert first.one("x-api-key") == PLANTED
    assert first.one("exchange-grant") == grant
    assert first.one("exchange-use").startswith("use_")
    assert first.one("exchange-use") != second.one("exchange-use")
    assert call(sme, grant, "admin").status_code == 403
    assert len(service.came) == 2


def test_nothing_of_the_service_is_told_to_the_caller_nor_logged(server, platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*")
    grant = granted(sme, offering)
    port = service.port
    service.__exit__()
    refused = call(sme, grant, "x")
    assert refused.status_code == 502
    assert refused.json()["type"] == "urn:exchange:problem:upstream_unreachable"
    assert str(port) not in refused.text + str(refused.headers)
    assert PLANTED not in refused.text + server.log()


def test_an_address_that_the_operator_does_not_allow(tmp_path):
    with (
        Upstream() as service,
        ExchangeServer(tmp_path / "state", upstream_allow="") as server,
    ):
        by = operator(server.state)
        with pytest.raises(Refusal) as refused:
            publish_service(join(by, "Platform", ["platform"]), service.url, "GET /*")
        assert refused.value.status == 422
        assert service.accepted == 0


def test_a_revocation_cuts_a_running_call(platform, sme, service):
    async def endless(visit: Visit, _came: Came) -> None:
        await visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await visit.send(b"1\r\nx\r\n", every=0.02)

    service.act = endless
    grant = granted(sme, publish_service(platform, service.url, "GET /*"))
    headers = {"Authorization": f"Bearer {sme.token(f'grant:{grant}')}"}
    threading.Timer(0.3, platform.post, (f"/v1/grants/{grant}/revoke", {})).start()
    started = time.monotonic()
    with (
        pytest.raises(httpx.RemoteProtocolError),
        sme.http.stream("GET", f"/gateway/grants/{grant}/call/x", headers=headers) as answer,
    ):
        for _ in answer.iter_raw():
            assert time.monotonic() - started < 10
    assert service.came[0].gone.wait(2)
    assert call(sme, grant, "x").status_code in (401, 403)
    assert len(service.came) == 1


def test_an_answer_longer_than_the_bytes_left_is_refused_and_not_cut(platform, sme, service):
    sizes = iter((600, 600, 600, 400))

    async def act(visit: Visit, came: Came) -> None:
        await visit.send(upstream_answer(bytes(next(sizes))))

    service.act = act
    grant = granted(
        sme, publish_service(platform, service.url, "GET /*", limits={"bytes": 1000, "calls": 9})
    )
    assert len(call(sme, grant, "a").content) == 600
    refused = call(sme, grant, "b")
    said = refused.json()
    assert (refused.status_code, said["type"]) == (403, "urn:exchange:problem:bytes_exhausted")
    assert (said["ceiling"], said["left"]) == (1000, 400)
    [remedy] = said["remedies"]
    assert remedy["code"] == "renew_grant"
    assert remedy["text"] == said["hint"]
    asked = {**headers(sme, grant), "Accept-Language": "zh"}
    in_chinese = sme.http.get(f"/gateway/grants/{grant}/call/x", headers=asked).json()
    assert "剩余400字节" in in_chinese["detail"]
    assert f"exchange grant renew {grant}" in in_chinese["hint"]
    assert in_chinese["remedies"][0]["text"].startswith("为授权续期")
    for _ in range(200):  # its end is noted soon after
        used = sme.get(f"/v1/grants/{grant}/usage")
        if not used["running"]:
            break
        time.sleep(0.05)
    assert (used["uses"], used["sent_bytes"]) == (3, 600)
    assert len(call(sme, grant, "c").content) == 400


def test_a_replaced_credential_is_used_from_the_next_call_on(platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*")
    grant = granted(sme, offering)
    call(sme, grant, "x")
    connection = platform.get(f"/v1/offerings/{offering['id']}")["source"]["connection"]
    credential = {"kind": "bearer", "token": "another-1234567890"}
    platform.put(f"/v1/connections/{connection}/credential", {"credential": credential})
    call(sme, grant, "x")
    first, second = service.came
    assert first.one("x-api-key") == PLANTED
    assert second.one("authorization") == "Bearer another-1234567890"
    assert not second.all("x-api-key")


def test_the_client_calls_and_says_what_would_help(platform, sme, service):
    offering = publish_service(platform, service.url, "GET /*", "POST /*", limits={"calls": 3})
    grant = granted(sme, offering)
    with Exchange(sme.profile) as client:
        answer = client.call(grant, "/stats/a b", params={"by": "carrier"})
        assert (answer.status, answer.json(), answer.text) == (200, {}, "{}")
        assert client.call(grant, "query", method="POST", json={"a": 1}).status == 200
        pieces = []
        assert client.call(grant, "stats", on_piece=pieces.append).content == b""
        assert b"".join(pieces) == b"{}"
        with pytest.raises(Refused) as refused:
            client.call(grant, "stats")
    assert refused.value.document["remedies"][0]["code"] == "renew_grant"
    assert f"exchange grant renew {grant}" in str(refused.value)
    assert [came.target for came in service.came] == ["/stats/a%20b?by=carrier", "/query", "/stats"]


async def test_the_client_calls_on_an_event_loop(platform, sme, service):
    grant = granted(sme, publish_service(platform, service.url, "GET /*"))
    async with AsyncExchange(sme.profile) as client:
        assert (await client.call(grant, "stats")).json() == {}


def test_the_command_calls(platform, sme, service, tmp_path):
    limits = {"calls": 3}
    offering = publish_service(platform, service.url, "GET /*", "POST /query", limits=limits)
    grant = granted(sme, offering)
    (tmp_path / "profile.json").write_text(json.dumps(asdict(sme.profile)))
    got = exchange("grant", "call", grant, "stats", "--param", "by=month", cwd=tmp_path)
    assert got.stdout == "{}", got.stderr
    told = exchange("grant", "call", grant, "query", "--data", '{"a":1}', "--json", cwd=tmp_path)
    assert json.loads(told.stdout) == {"status": 200, "body": {}}
    assert (service.came[0].target, bytes(service.came[1].body)) == ("/stats?by=month", b'{"a":1}')
    wrong = exchange("grant", "call", grant, "query", "--data", "{a", cwd=tmp_path)
    assert (wrong.returncode, len(service.came)) == (2, 2)
    assert exchange("grant", "call", grant, "x", "-o", "out", cwd=tmp_path).returncode == 0
    assert (tmp_path / "out").read_bytes() == b"{}"
    refused = exchange("grant", "call", grant, "stats", cwd=tmp_path)
    assert refused.returncode == 1
    assert f"exchange grant renew {grant}" in refused.stderr
