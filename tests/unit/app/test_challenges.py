"""Challenges (401): which proofs are taken, and where the metadata is (RFC 9728 section 5.1)."""

import re

import httpx
import pytest

from connectors.gateway.problems import BadToken
from exchange.app import build_app
from exchange.errors import ALGS, Unauthenticated
from exchange.formats.dpop import SIGNING_ALGORITHMS
from exchange.settings import Settings

GRANT = "/gateway/grants/grt_0000_" + "0" * 26
HERE = "http://127.0.0.1:8000/x"


def test_all_that_a_proof_may_be_signed_with_is_named():
    assert tuple(ALGS.split()) == SIGNING_ALGORITHMS
    for refusal in (Unauthenticated("token_missing", ""), BadToken("token_missing", "")):
        told = refusal.headers["WWW-Authenticate"]
        assert re.findall('algs="([^"]*)"', told) == [" ".join(SIGNING_ALGORITHMS)]


@pytest.fixture(params=["", "https://data.example/gateway"], ids=["own", "foreign"])
async def gateway_elsewhere_and_http(request, tmp_path):
    """An exchange whose issuer has a path, and whose gateway is told to be here or elsewhere."""
    app = build_app(Settings(issuer=HERE, gateway_url=request.param, state_dir=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as http:
            yield bool(request.param), http


async def test_challenges_say_where_the_metadata_is(gateway_elsewhere_and_http):
    elsewhere, http = gateway_elsewhere_and_http
    for path, resource in (("/v1/me", HERE), (GRANT, f"{HERE}/gateway")):
        for headers in (
            {},
            {"Authorization": "Bearer x"},
            {"Authorization": "DPoP x", "DPoP": "y"},
            {"Authorization": "Basic x"},
        ):
            answer = await http.get(path, headers=headers)
            assert answer.status_code == 401
            challenge = answer.headers["www-authenticate"]
            named = re.findall('resource_metadata="([^"]*)"', challenge)
            if path == GRANT and elsewhere:  # it tells of itself there, and nobody can here
                assert named == []
                continue
            assert len(named) == len(
                re.findall("Bearer|DPoP", challenge)
            )  # with each that is offered
            [url] = set(named)
            told = await http.get(url.removeprefix("http://127.0.0.1:8000"))
            assert (told.status_code, told.json()["resource"]) == (200, resource)
