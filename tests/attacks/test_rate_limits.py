"""Rate limits at the OAuth endpoints: nobody takes it all, and nobody is locked out by others."""
# ruff: noqa: F401, F811 - fixtures are imported by name

import pytest

from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.model import Refused
from tests.unit.oauth.world import refused, shared_world, world


@pytest.fixture
def limited(world, monkeypatch):
    """The world with few requests a minute; the minute is the clock's, so it may begin anew."""
    limits = EndpointLimits(asked=3, failed=5)
    endpoint = world.limits
    monkeypatch.setattr(endpoint, "_asked", limits._asked)
    monkeypatch.setattr(endpoint, "_failed", limits._failed)
    endpoint._limiter.storage.reset()
    yield world
    endpoint._limiter.storage.reset()


def slow_down(answer):
    assert (answer.status_code, answer.json()["error"]) == (429, "slow_down")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "access_token" not in answer.json()


async def test_a_client_that_asks_too_often_slows_down_and_others_do_not(limited):
    answers = [await limited.post() for _ in range(7)]
    assert [answer.status_code for answer in answers][:3] == [200, 200, 200]
    slow_down(next(answer for answer in answers if answer.status_code == 429))
    key = generate_client_key()
    other = await limited.add_client(limited.org_id, public_jwks(key))
    header = {"alg": "ES256", "kid": key["kid"]}
    made = limited.assertion(header=header, key=key, iss=other, sub=other)
    assert (await limited.post(made)).status_code == 200


async def test_an_assertion_that_was_slowed_down_is_not_used_up(limited):
    for _ in range(7):
        made = limited.assertion()
        if (await limited.post(made)).status_code == 429:
            break
    limited.limits._limiter.storage.reset()
    assert (await limited.post(made)).status_code == 200


async def test_nobody_locks_a_victim_out_by_failing_in_its_name(limited):
    """Not even from the same address, as behind one proxy."""
    thief = generate_client_key()
    header = {"alg": "ES256", "kid": limited.client_key["kid"]}
    failed = [await limited.post(limited.assertion(header=header, key=thief)) for _ in range(12)]
    slow_down(failed[-1])
    assert (await limited.post()).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_nobody_locks_a_victim_out_by_replaying_what_it_used(limited, path):
    """Whoever saw one assertion of it has no key: its requests are not the victim's."""
    seen = limited.form(limited.assertion(), token="x")
    async with limited.http() as http:
        assert (await http.post(path, data=seen)).status_code == 200
        replayed = [await http.post(path, data=seen) for _ in range(12)]
    assert replayed[0].json()["error"] == "invalid_client"
    slow_down(replayed[-1])
    assert (await limited.post()).status_code == 200


async def test_nobody_locks_a_victim_out_with_proofs_that_are_none(limited):
    async with limited.http() as http:
        for _ in range(12):
            sent = limited.form(limited.assertion())
            answer = await http.post("/oauth/token", data=sent, headers={"DPoP": "none"})
    slow_down(answer)
    assert (await limited.post()).status_code == 200


async def test_a_header_does_not_say_from_where_failures_come(limited):
    """Else each failure would come from somewhere new, or from a victim's address."""
    async with limited.http() as http:
        for i in range(12):
            address = f"203.0.113.{i}"
            forged = {
                "X-Forwarded-For": address,
                "X-Real-IP": address,
                "Forwarded": f"for={address}",
                "True-Client-IP": address,
                "CF-Connecting-IP": address,
            }
            form = {"token": "x", "client_id": "x"}
            answer = await http.post("/oauth/revoke", data=form, headers=forged)
    slow_down(answer)
    assert limited.limits.is_over("127.0.0.1")
    assert not limited.limits.is_over("203.0.113.0")


async def test_failures_count_at_the_other_endpoints_too(limited):
    async with limited.http() as http:
        for _ in range(12):
            answer = await http.post("/oauth/revoke", data={"token": "x", "client_id": "x"})
    slow_down(answer)


async def test_failures_of_the_jwt_bearer_grant_count_too(limited):
    grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    async with limited.http() as http:
        for _ in range(12):
            sent = {"grant_type": grant_type, "assertion": limited.assertion()}
            answer = await http.post("/oauth/token", data=sent)
    slow_down(answer)


def test_each_worker_holds_its_share():
    limits = EndpointLimits(asked=10, failed=10, workers=5)
    done = 0
    with pytest.raises(Refused, match="slow_down"):
        for _ in range(5):
            limits.admit("cli_a")
            limits.count("cli_a")
            done += 1
    assert done in (2, 3, 4)  # the clock's minute may have begun anew
