"""The issuer's keys over HTTP: bounded, refetched when one is unknown, kept when a fetch fails."""

import asyncio
import json

import httpx
import pytest

from connectors.gateway import issuer_keys
from connectors.gateway.issuer_keys import MOST_BYTES, IssuerKeys, with_keys
from connectors.gateway.problems import NotNow
from exchange.formats.jws import TokenRefused
from exchange.formats.tokens import generate_client_key, public_jwks
from tests.support.status_script import Signer, until

URI = "https://exchange.example/oauth/jwks"


class Issuer(httpx.AsyncBaseTransport):
    """Answers with what a test says, and counts."""

    def __init__(self):
        self.jwks, self.fetched, self.now = public_jwks(generate_client_key()), 0, 1000.0
        self.answers = self.whole
        self.http = httpx.AsyncClient(transport=self, follow_redirects=True)
        self.keys = IssuerKeys(self.http, URI, lambda: self.now)

    async def handle_async_request(self, request):
        assert (request.method, "authorization" in request.headers) == ("GET", False)
        self.fetched += 1
        await asyncio.sleep(0)
        return await self.answers(request)

    async def whole(self, _request):
        return httpx.Response(200, stream=_Pieces(json.dumps(self.jwks).encode()))

    def rotate(self, now=10.0):
        self.jwks = {"keys": [*public_jwks(generate_client_key())["keys"], *self.jwks["keys"]]}
        self.now += now


class _Pieces(httpx.AsyncByteStream):
    def __init__(self, *pieces):
        self.pieces, self.read = pieces, 0

    async def __aiter__(self):
        for piece in self.pieces:
            self.read += len(piece)
            yield piece


@pytest.fixture
def issuer():
    return Issuer()


async def test_read_once_and_again_when_asked(issuer):
    with pytest.raises(NotNow):
        issuer.keys.known()
    assert await issuer.keys.learn()
    first = issuer.keys.known()
    issuer.now += 10
    assert not await issuer.keys.learn()  # nothing is new: the set and what it remembers stay
    assert issuer.keys.known() is first
    issuer.rotate()
    assert await issuer.keys.learn()
    assert issuer.keys.known() is not first
    assert issuer.fetched == 3


async def test_at_most_once_in_five_seconds_whoever_asks(issuer):
    await issuer.keys.learn()
    issuer.rotate(now=4.9)
    assert [await issuer.keys.learn() for _ in range(50)] == [False] * 50
    assert issuer.fetched == 1
    issuer.now += 0.2
    assert all(await asyncio.gather(*(issuer.keys.learn() for _ in range(50))))
    assert issuer.fetched == 2


async def test_a_try_that_failed_counts_as_one(issuer):
    async def away(_request):
        raise httpx.ConnectError("away")

    issuer.answers = away
    assert [await issuer.keys.learn() for _ in range(5)] == [False] * 5
    assert issuer.fetched == 1


BAD = {
    "status": (500, {}, [b"{}"]),
    "redirect": (302, {"location": URI + "2"}, []),
    "encoded": (200, {"content-encoding": "gzip"}, None),
    "long": (200, {}, [b" " * 4096] * 1000),
    "no json": (200, {}, [b"<html>"]),
    "nested": (200, {}, [b"[" * 30_000]),
    "no keys": (200, {}, [b'{"keys":[]}']),
    "another kind": (200, {}, [b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}']),
    "private": (200, {}, [json.dumps({"keys": [generate_client_key()]}).encode()]),
}


@pytest.mark.parametrize("what", BAD)
async def test_a_fetch_that_fails_leaves_the_set_in_use(issuer, what, caplog):
    await issuer.keys.learn()
    first = issuer.keys.known()
    issuer.rotate()
    status, headers, pieces = BAD[what]
    body = _Pieces(*([json.dumps(issuer.jwks).encode()] if pieces is None else pieces))

    async def bad(_request):
        return httpx.Response(status, headers=headers, stream=body)

    issuer.answers = bad
    assert not await issuer.keys.learn()
    assert issuer.keys.known() is first
    assert issuer.fetched == 2  # a redirect is not followed
    assert body.read <= MOST_BYTES + 4096
    assert "the issuer's keys are not read" in caplog.text
    issuer.answers = issuer.whole
    issuer.now += 10
    assert await issuer.keys.learn()


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_told(issuer, monkeypatch):
    async def never(_request):
        await asyncio.Event().wait()

    await issuer.keys.learn()
    issuer.rotate()
    monkeypatch.setattr(issuer_keys, "FETCH_SECONDS", 0.05)
    issuer.answers = never
    async with asyncio.timeout(10):
        assert not await issuer.keys.learn()
    assert issuer.keys.known()


async def test_a_copy_grows_no_older_than_the_issuer_says(issuer, monkeypatch):
    """A key that was retired, as after a theft, is not believed for ever."""
    monkeypatch.setattr(issuer_keys, "SOONEST_SECONDS", 0.001)
    issuer.rotate()
    async with issuer.keys.running():
        first = issuer.keys.known()
        issuer.jwks = {"keys": issuer.jwks["keys"][:1]}
        issuer.now += 299
        await until(lambda: issuer.keys.known() is not first)
        issuer.now += 10
        fetched = issuer.fetched
        for _ in range(20):
            await asyncio.sleep(0.002)
        assert issuer.fetched == fetched


async def test_an_issuer_that_is_away_at_first_is_tried_again(issuer, monkeypatch):
    async def away(_request):
        raise httpx.ConnectError("away")

    monkeypatch.setattr(issuer_keys, "SOONEST_SECONDS", 0.001)
    issuer.answers, issuer.now = away, 0.0
    ticks = iter(range(1, 1_000_000))
    issuer.keys._clock = lambda: float(next(ticks))
    async with issuer.keys.running():
        await until(lambda: issuer.fetched > 3)
        with pytest.raises(NotNow):
            issuer.keys.known()
        issuer.answers = issuer.whole
        await until(lambda: issuer.keys._keys is not None)


async def test_only_an_unknown_key_leads_to_a_fetch(issuer):
    signer = Signer()
    await issuer.keys.learn()
    issuer.now += 10

    async def opened(token):
        return await with_keys(
            lambda keys: keys.opened(token, "at+jwt"), issuer.keys.known, issuer.keys.learn
        )

    token = signer.sign("at+jwt", {"a": 1})
    with pytest.raises(TokenRefused, match="token_malformed"):
        await opened("x")
    with pytest.raises(TokenRefused, match="token_header_refused"):
        await opened(signer.sign("JWT", {}))
    assert issuer.fetched == 1
    with pytest.raises(TokenRefused, match="token_key_unknown"):
        await opened(token)
    assert issuer.fetched == 2
    issuer.jwks, issuer.now = signer.jwks, issuer.now + 10
    assert await opened(token) == b'{"a":1}'
    assert issuer.fetched == 3
