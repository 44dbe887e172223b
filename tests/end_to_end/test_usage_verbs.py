"""What each side sees of the use of a grant: over HTTP, by the client, by the command."""

import json
import time
from dataclasses import asdict

import pytest

from exchange.client import Exchange
from exchange.client.session import Refusal
from tests.support.actors import SME_ATTRIBUTES, ask, join, operator, publish
from tests.support.commands import exchange
from tests.support.story import DATABASES, exchange_on


@pytest.fixture(scope="module", params=DATABASES)
def cast(request, tmp_path_factory):
    with exchange_on(request.param, tmp_path_factory.mktemp("usage")) as server:
        yield Cast(server)


class Cast:
    """An SME that has downloaded 100 bytes of a file twice and all of it once."""

    def __init__(self, server) -> None:
        by = operator(server.state)
        self.platform = join(by, "Platform", ["platform"], {"jurisdiction": "CN"})
        self.sme = join(by, "SME", ["sme"], SME_ATTRIBUTES)
        self.stranger = join(by, "Stranger", ["sme"], SME_ATTRIBUTES)
        limits = {"bytes": 1_000_000, "calls_per_minute": 1000}
        self.offering = publish(self.platform, max_sessions=4, limits=limits)
        self.size = self.offering["objects"][0]["bytes"]
        self.name = self.offering["objects"][0]["name"]
        self.grant = ask(self.sme, self.offering)["grant"]["id"]
        for given in ("bytes=0-99", "bytes=100-199", None):
            headers = {"Range": given} if given else {}
            path = f"/gateway/grants/{self.grant}/files/{self.name}"
            self.sme.request("GET", path, scope=f"grant:{self.grant}", headers=headers)
        self.sent = self.size + 200
        deadline = time.monotonic() + 30
        while self.sme.get(f"/v1/grants/{self.grant}/usage")["running"]:
            assert time.monotonic() < deadline, "the end of a use is noted after its last byte"
            time.sleep(0.05)


def test_every_party_sees_the_same_and_nobody_else_anything(cast):
    for who in (cast.sme, cast.platform):
        found = who.get(f"/v1/grants/{cast.grant}/usage")
        assert (found["sessions"], found["uses"], found["sent_bytes"]) == (1, 3, cast.sent)
        assert (found["running"], found["ended_unknown"]) == (0, 0)
        left = {each["obligation"]: each["left"] for each in found["allowances"]}
        assert left["bytes"] == 1_000_000 - cast.sent
        assert left["sessions"] == 3
        (day,) = who.pages("/v1/usage", by="grant")
        assert (day["key"], day["uses"], day["sent_bytes"]) == (cast.grant, 3, cast.sent)
        assert list(who.pages("/v1/usage", since="2020-01-01", until="2020-12-31")) == []
    assert list(cast.stranger.pages("/v1/usage")) == []
    with pytest.raises(Refusal) as refused:
        cast.stranger.get(f"/v1/grants/{cast.grant}/usage")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=2026-02-30", 422),
        ("since=2025-01-01&until=2026-06-01", 422),
        ("since=2026-02-01&until=2026-01-01", 422),
        ("by=moon", 422),
        ("grant_id=grt_1", 422),
        ("cursor=b2Zm", 400),
    ],
)
def test_what_cannot_be_summed_up_is_said(cast, query, status):
    with pytest.raises(Refusal) as refused:
        cast.sme.request("GET", f"/v1/usage?{query}")
    assert refused.value.status == status


def test_the_client_says_what_is_left(cast):
    with Exchange(cast.sme.profile) as client:
        found = client.usage(cast.grant)
        assert (found.uses, found.sent_bytes) == (3, cast.sent)
        assert found.left("bytes") == 1_000_000 - cast.sent
        assert found.left("calls") is None
        assert found.last_use_at is not None
        (day,) = client.usage_by_day("offering")
        assert (day.key, day.uses) == (cast.offering["id"], 3)


def test_the_command_shows_it(cast, tmp_path):
    (tmp_path / "profile.json").write_text(json.dumps(asdict(cast.platform.profile)))
    shown = exchange("grant", "usage", cast.grant, cwd=tmp_path)
    assert f"{cast.grant}: 3 uses, {cast.sent:,} bytes" in shown.stdout, shown.stderr
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["sessions", "1", "4", "3", "with", "a", "renewal"] in rows
    by_day = exchange("usage", "--by", "consumer", cwd=tmp_path)
    assert cast.sme.profile.organisation_id in by_day.stdout
    assert "█" in by_day.stdout
    as_json = json.loads(exchange("usage", "--json", cwd=tmp_path).stdout)
    assert [day["sent_bytes"] for day in as_json] == [cast.sent]
    refused = exchange("usage", "--since", "2026-02-30", cwd=tmp_path)
    assert refused.returncode == 1
    assert "since" in refused.stderr
