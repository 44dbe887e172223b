"""A platform's store is not to be trusted: it leads nowhere inward, and exhausts nothing."""

import io
import itertools
import logging
import time

import pytest

from connectors import s3_object, s3_pool
from connectors.gateway.door import Connection, FileObject
from connectors.gateway.source import SourceBroken, SourceProblem
from connectors.s3 import S3Source
from connectors.s3_bucket import Bucket, Inward
from connectors.s3_pool import CheckedPool
from exchange.outward.allow import AllowList
from tests.support.hostile_store import hostile_store, raw, response
from tests.support.s3 import MemoryConnections

ORG = "org_" + "1" * 26
SECRET = "s3cr3t-" + "k" * 33
SOURCE = {"connector": "s3", "connection": "con_1", "path": "data/a.bin"}
ITEM = FileObject("a.bin", 5, "0" * 64, "application/octet-stream", tag="abc")
HEAD = {"ETag": '"abc"', "Content-Type": "application/octet-stream"}
XML = {"Content-Type": "application/xml"}


def source_at(url: str, allow: AllowList, **changes) -> S3Source:
    connections = MemoryConnections()
    values = {
        "id": "con_1",
        "org_id": ORG,
        "kind": "s3",
        "url": url,
        "settings": {"bucket": "bucket", "region": "us-east-1"},
        "secret": {"access_key": "AKEY", "secret_key": SECRET},
        "rev": 1,
    }
    connections.add(Connection(**(values | changes)))
    return S3Source(connections, allow)


def allowed(port: int, **changes) -> S3Source:
    return source_at(f"http://127.0.0.1:{port}", AllowList(f"127.0.0.1:{port}"), **changes)


async def problem(doing) -> SourceProblem:
    with pytest.raises(SourceProblem) as refused:
        await doing
    found = refused.value
    text = f"{found.document()} {found!r} {found.headers}"
    assert SECRET not in text
    assert "AKEY" not in text
    return found


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "https://127.0.0.1",
        "https://localhost:9000",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://[::ffff:7f00:1]",
        "https://[64:ff9b::7f00:1]",
        "https://10.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://127.1",
        "https://user:pass@store.example",
        "https://store.example/#x",
        "ftp://store.example",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
        "",
    ],
)
async def test_an_address_inward_is_refused_when_published_and_when_delivered(url: str) -> None:
    source = source_at(url, AllowList("", public=True))
    found = await problem(source.describe(ORG, SOURCE))
    assert (found.code, found.status) == ("address_not_allowed", 422)
    found = await problem(source.open(ORG, SOURCE, ITEM))
    assert (found.code, found.status) == ("address_not_allowed", 409)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "10.1.2.3", "::ffff:127.0.0.1", "fd00::1"]
)
def test_a_name_that_resolves_inward_is_refused(address: str) -> None:
    with hostile_store(response("200 OK", HEAD)) as (port, heads):
        pool = CheckedPool(AllowList("", public=True), lambda host, port: [address])
        with pytest.raises(s3_pool.NotAllowed):
            pool.urlopen("GET", f"http://store.example:{port}/")
    assert not heads


def test_a_name_that_changes_is_looked_at_once_for_each_connection() -> None:
    """The address that was checked is the one that is connected to: nothing asks again."""
    with hostile_store(response("200 OK", HEAD)) as (port, heads):
        answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["127.0.0.2"]))
        asked = []

        def resolve(host: str, port: int) -> list[str]:
            asked.append(host)
            return next(answers)

        pool = CheckedPool(AllowList(f"127.0.0.1:{port},store.example:{port}"), resolve)
        assert pool.urlopen("GET", f"http://store.example:{port}/").status == 200
        assert asked == ["store.example"]
        with pytest.raises(s3_pool.NotAllowed):
            pool.urlopen("GET", f"http://store.example:{port}/")
    assert len(heads) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"])
async def test_a_redirect_is_not_followed(status: str) -> None:
    with hostile_store(response("200 OK", HEAD, b"inner")) as (inner, reached):
        location = {"Location": f"http://127.0.0.1:{inner}/", **XML}
        with hostile_store(response(status, location)) as (port, _):
            list_of_both = AllowList(f"127.0.0.1:{port},127.0.0.1:{inner}")
            source = source_at(f"http://127.0.0.1:{port}", list_of_both)
            assert (await problem(source.describe(ORG, SOURCE))).code == "store_unfit"
            assert (await problem(source.open(ORG, SOURCE, ITEM))).code == "source_unavailable"
    assert not reached


async def test_an_answer_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_pool, "ANSWER_BYTES", 1 << 20)
    sent = 0

    def endless(head, connection) -> None:
        nonlocal sent
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<a>"
        if head.startswith(b"HEAD"):
            start = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(start)
        while not head.startswith(b"HEAD"):
            connection.sendall(b"x" * 65536)
            sent += 65536

    with hostile_store(endless) as (port, _):
        assert (await problem(allowed(port).describe(ORG, SOURCE))).code == "store_unfit"
    assert sent < 32 << 20


async def test_a_list_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.s3.LIST_SECONDS", 0.5)
    page = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>again</NextContinuationToken></ListBucketResult>"
    )

    def answer(head, connection) -> None:
        if head.startswith(b"HEAD"):
            return response("404 Not Found", {})(head, connection)
        return response("200 OK", XML, page)(head, connection)

    with hostile_store(answer) as (port, _):
        began = time.monotonic()
        assert (await problem(allowed(port).describe(ORG, SOURCE))).code == "store_unfit"
        assert time.monotonic() - began < 10


async def test_a_list_of_other_keys_is_refused() -> None:
    page = (
        b"<ListBucketResult><Contents><Key>other/../../secret</Key><ETag>x</ETag><Size>1</Size>"
        b"<LastModified>2026-01-01T00:00:00Z</LastModified></Contents></ListBucketResult>"
    )

    def answer(head, connection) -> None:
        if head.startswith(b"HEAD"):
            return response("404 Not Found", {})(head, connection)
        return response("200 OK", XML, page)(head, connection)

    with hostile_store(answer) as (port, _):
        assert (await problem(allowed(port).describe(ORG, SOURCE))).code == "store_unfit"


@pytest.mark.parametrize(
    "answer",
    [
        raw(b""),
        raw(b"not http at all\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
        raw(b"HTTP/1.1 999 What\r\n\r\n"),
        response("200 OK", {"Content-Type": "application/xml"}),  # no ETag
        response("200 OK", {**HEAD, "Content-Length": "-5"}),
        response("200 OK", {**HEAD, "Content-Length": "much"}),
        response("200 OK", {**HEAD, "Last-Modified": "yesterday", "Content-Length": "5"}),
        response("400 Bad Request", XML, b"<Error>"),
        response("418 Teapot", XML, b"<Error><Code>\xff</Code></Error>"),
        response("500 Oops", XML, b"<!DOCTYPE a [<!ENTITY b 'c'>]><Error>&b;</Error>"),
    ],
)
async def test_what_is_no_answer_of_s3_is_a_problem_and_no_more(answer) -> None:
    with hostile_store(answer) as (port, _):
        source = allowed(port)
        found = await problem(source.describe(ORG, SOURCE))
        assert found.code in ("store_unfit", "source_unavailable")
        found = await problem(source.open(ORG, SOURCE, ITEM))
        assert found.code in ("source_unavailable", "object_changed")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Range": "bytes 0-4/5"}, b"12"),  # it ends early
        ({"Content-Range": "bytes 0-4/6", "Content-Length": "5"}, b"12345"),
        ({"Content-Range": "bytes 1-5/5", "Content-Length": "5"}, b"12345"),
        ({}, b"12345"),
        ({"Content-Range": "bytes 0-4/5", "ETag": '"other"'}, b"12345"),
        ({"Content-Range": "bytes 0-4/5", "Content-Length": "999"}, b"123"),
        ({"Content-Range": "bytes 0-4/5", "Transfer-Encoding": "chunked"}, b"zz\r\n12345"),
    ],
)
async def test_a_range_that_is_not_what_was_asked_for_is_broken_off(headers, body) -> None:
    def answer(head, connection) -> None:
        if head.startswith(b"HEAD"):
            return response("200 OK", {**HEAD, "Content-Length": "5"})(head, connection)
        return response("206 Partial Content", {**HEAD, **headers}, body)(head, connection)

    with hostile_store(answer) as (port, _):
        opened = await allowed(port).open(ORG, SOURCE, ITEM)
        got = b""
        with pytest.raises(SourceBroken):
            async for piece in opened.read(0, 4):
                got += piece
        assert len(got) < 5
        await opened.close()


async def test_a_compressed_object_is_delivered_as_it_is_stored() -> None:
    def answer(head, connection) -> None:
        headers = {**HEAD, "Content-Encoding": "gzip"}
        if head.startswith(b"HEAD"):
            return response("200 OK", {**headers, "Content-Length": "5"})(head, connection)
        part = {**headers, "Content-Range": "bytes 0-4/5"}
        return response("206 Partial Content", part, b"\x1f\x8b567")(head, connection)

    with hostile_store(answer) as (port, _):
        opened = await allowed(port).open(ORG, SOURCE, ITEM)
        assert b"".join([piece async for piece in opened.read(0, 4)]) == b"\x1f\x8b567"


async def test_a_reader_who_leaves_does_not_wait_for_a_store_that_hangs() -> None:
    def answer(head, connection) -> None:
        if head.startswith(b"HEAD"):
            size = str(4 * s3_object.PIECE)
            return response("200 OK", {**HEAD, "Content-Length": size})(head, connection)
        size = 4 * s3_object.PIECE
        start = (
            f'HTTP/1.1 206 P\r\nETag: "abc"\r\nContent-Range: bytes 0-{size - 1}/{size}\r\n'
            f"Content-Length: {size}\r\n\r\n"
        )
        connection.sendall(start.encode() + b"x" * s3_object.SMALLEST)
        time.sleep(15)
        return None

    item = FileObject("a.bin", 4 * s3_object.PIECE, "0" * 64, "text/plain", tag="abc")
    with hostile_store(answer) as (port, _):
        opened = await allowed(port).open(ORG, SOURCE, item)
        pieces = opened.read(0, item.bytes - 1)
        await anext(pieces)
        began = time.monotonic()
        await pieces.aclose()
        assert time.monotonic() - began < 5


async def test_no_credential_is_shown_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    words = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{SECRET}</Message></Error>"
    with hostile_store(response("403 Forbidden", XML, words.encode())) as (port, heads):
        source = allowed(port)
        found = await problem(source.describe(ORG, SOURCE))
        assert (found.code, found.status) == ("credential_refused", 409)
        found = await problem(source.open(ORG, SOURCE, ITEM))
        assert (found.code, found.status) == ("credential_refused", 503)
        assert SECRET not in repr(source._buckets)
    assert heads
    assert SECRET.encode() not in b"".join(heads)
    assert SECRET not in caplog.text


async def test_a_store_of_another_platform_is_out_of_reach() -> None:
    source = source_at("https://store.example", AllowList("", public=True))
    for org in ("org_" + "9" * 26, "org_../x"):
        found = await problem(source.describe(org, SOURCE))
        assert (found.code, found.status) == ("connection_unknown", 422)
        found = await problem(source.open(org, SOURCE, ITEM))
        assert (found.code, found.status) == ("connection_unknown", 409)


def test_bucket_and_region_lead_to_no_other_host() -> None:
    for bucket in ["../other", "a/b", "evil.example:9/x", "a?b", "", "\r\nX: y"]:
        with hostile_store(response("200 OK", HEAD)) as (port, heads):
            connection = Connection(
                "con_1",
                ORG,
                "s3",
                f"http://127.0.0.1:{port}",
                {"bucket": bucket, "region": "us-east-1"},
                {"access_key": "a", "secret_key": "b"},
                1,
            )
            made = Bucket(connection, AllowList(f"127.0.0.1:{port}"))
            with pytest.raises(Exception) as refused:
                made.stat("key")
            assert type(refused.value).__name__ == "Unfit"
            assert not heads


def test_an_upload_to_a_store_inward_reaches_nothing() -> None:
    with hostile_store(response("200 OK", HEAD)) as (port, heads):
        keys = {"access_key": "a", "secret_key": "b"}
        url = f"http://store.example:{port}"
        connection = Connection("con_1", ORG, "s3", url, {"bucket": "bucket"}, keys, 1)
        allow = AllowList(f"store.example:{port}")
        made = Bucket(connection, allow)
        made._pool = CheckedPool(allow, lambda host, port: ["127.0.0.1"])
        with pytest.raises(Inward):
            made.put("key", io.BytesIO(b"x"), 1, "0" * 64, "text/plain")
        assert not heads


async def test_an_object_without_a_size_is_not_published_as_empty() -> None:
    head = raw(b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nConnection: close\r\n\r\n')
    with hostile_store(head) as (port, _):
        assert (await problem(allowed(port).describe(ORG, SOURCE))).code == "store_unfit"
