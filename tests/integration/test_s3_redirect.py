"""Readers sent to the store itself: checked and recorded as always, for a moment, or refused."""

import asyncio
import hashlib
import io
import logging
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx
import pytest

from connectors import s3_object
from connectors.gateway.door import FileObject
from connectors.s3 import S3Source
from tests.support.s3 import STORES, MemoryConnections, Store, allows, connection_to
from tests.unit.connectors.world import (
    GRANT,
    PROVIDER,
    Issuer,
    MemoryDoor,
    app_of,
    delivery_of,
    url,
)

DATA = os.urandom(100_000)
NAME = "flights/数据.csv"


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in STORES],
)
def store(request) -> Iterator[Store]:
    with STORES[request.param]() as started:
        yield started


class Place:
    def __init__(self, store: Store, bucket: str) -> None:
        self.store, self.bucket = store, bucket
        connections = MemoryConnections()
        connection = connections.add(connection_to(store, bucket, PROVIDER))
        self.source = S3Source(connections, allows(store))
        self.at = {
            "connector": "s3",
            "connection": connection.id,
            "path": "flights",
            "delivery": "redirect",
        }
        self.door, self.issuer = MemoryDoor(), Issuer()
        self.http: httpx.AsyncClient = None  # type: ignore[assignment]
        self.item: FileObject = None  # type: ignore[assignment]

    def obliges(self, **obligations) -> None:
        self.door.grants[GRANT] = replace(self.door.grants[GRANT], obligations=obligations)


@pytest.fixture(params=[False, True], ids=["plain", "versions"])
async def place(request, store) -> AsyncIterator[Place]:
    made = Place(store, store.bucket(versions=request.param))
    store.client().put_object(made.bucket, NAME, io.BytesIO(DATA), len(DATA))
    (made.item,) = objects = await made.source.describe(PROVIDER, made.at)
    made.door.grants[GRANT] = delivery_of(objects, "s3", made.at)
    app = app_of(made.door, made.issuer, {"s3": made.source})
    headers = {"Authorization": f"Bearer {made.issuer.token()}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway.test", headers=headers
    ) as made.http:
        yield made
    made.source.close()


async def follow(answer: httpx.Response, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as stranger:
        return await stranger.get(answer.headers["location"], headers=headers)


async def test_a_reader_is_sent_to_the_store_and_the_use_is_authorised(place, caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="connectors")
    answer = await place.http.get(url("数据.csv"), headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["etag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert (await follow(answer)).content == DATA
    part = await follow(answer, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, DATA[10:20])
    assert "attachment" in part.headers["content-disposition"]
    (use,) = place.door.uses.values()
    assert (use.method, use.first_byte, use.last_byte) == ("authorised", 10, 19)
    assert not place.door.ends, "nobody counted what was fetched"
    assert place.store.secret_key not in answer.headers["location"]
    assert "X-Amz-Signature" not in caplog.text
    expires = httpx.URL(answer.headers["location"]).params["X-Amz-Expires"]
    assert int(expires) == s3_object.URL_SECONDS == 30


async def test_the_url_works_for_a_moment_and_only_for_reading_this(place, monkeypatch) -> None:
    monkeypatch.setattr(s3_object, "URL_SECONDS", 1)
    answer = await place.http.get(url("数据.csv"))
    location = answer.headers["location"]
    async with httpx.AsyncClient() as stranger:
        put = await stranger.put(location, content=b"other")
        assert put.status_code == 403
        assert (await stranger.delete(location)).status_code == 403
        elsewhere = location.replace("flights", "secrets")
        assert (await stranger.get(elsewhere)).status_code == 403
    await asyncio.sleep(2.2)
    assert (await follow(answer)).status_code == 403


async def test_head_is_answered_at_the_gate(place) -> None:
    head = await place.http.head(url("数据.csv"))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))
    assert "location" not in head.headers
    assert not place.door.uses


@pytest.mark.parametrize(
    "obligation",
    [{"bytes": 10**9}, {"concurrent": 2}, {"calls_per_minute": 100}, {"bytes": 1, "concurrent": 1}],
)
async def test_what_would_have_to_be_counted_is_refused(place, obligation) -> None:
    place.obliges(days=30, **obligation)
    answer = await place.http.get(url("数据.csv"))
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:exchange:problem:redirect_refused"
    assert answer.json()["hint"]
    assert not place.door.uses
    place.obliges(days=30, sessions=3)
    assert (await place.http.get(url("数据.csv"))).status_code == 307


async def test_without_a_grant_or_a_record_nobody_is_sent(place) -> None:
    place.door.away = {"record"}
    assert (await place.http.get(url("数据.csv"))).status_code == 503
    place.door.away = set()
    place.door.change(status="revoked")
    assert (await place.http.get(url("数据.csv"))).status_code == 403
    assert not place.door.uses


async def test_an_object_that_changed_is_not_pointed_to(place) -> None:
    place.store.client().put_object(place.bucket, NAME, io.BytesIO(b"other"), 5)
    answer = await place.http.get(url("数据.csv"))
    if place.item.version_id is None:
        assert answer.status_code == 409
        assert not place.door.uses
    else:
        assert (await follow(answer)).content == DATA, "the version that was published"
