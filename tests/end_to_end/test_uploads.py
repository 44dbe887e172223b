"""A dataset's new version, uploaded over a line that breaks and an exchange that is killed."""

import hashlib
import os
import time

import httpx
import pytest

from tests.support.actors import TERMS, ask
from tests.support.story import DATABASES, World, exchange_on, make_world
from tests.support.wire import connect, read_response

DATA = os.urandom(3 << 20)
SHA256 = hashlib.sha256(DATA).hexdigest()
BODY = "application/offset+octet-stream"


@pytest.fixture(scope="module", params=DATABASES)
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uploads")
    with exchange_on(request.param, folder, upload_bytes=4 << 20, body_bytes=64 << 10) as server:
        yield make_world(server)


def begin(world: World, name: str, **more) -> str:
    wanted = {"name": name, "bytes": len(DATA), "sha256": SHA256} | more
    return world.platform.post("/v1/uploads", wanted)["id"]


def send(world: World, upload: str, offset: int, data: bytes, **headers) -> httpx.Response:
    sent = world.role("platform") | {"Upload-Offset": str(offset), "Content-Type": BODY} | headers
    url = f"{world.server.url}/v1/uploads/{upload}"
    return httpx.patch(url, headers=sent, content=data, timeout=30)


def head(world: World, upload: str) -> httpx.Response:
    url = f"{world.server.url}/v1/uploads/{upload}"
    return httpx.head(url, headers=world.role("platform"))


def send_and_break(world: World, upload: str, offset: int, data: bytes) -> None:
    """Promise all of the data, send a half, and go away."""
    with connect(world.server.port) as connection:
        lines = [
            f"PATCH /v1/uploads/{upload} HTTP/1.1",
            "Host: exchange.test",
            f"Authorization: {world.role('platform')['Authorization']}",
            f"Upload-Offset: {offset}",
            f"Content-Type: {BODY}",
            f"Content-Length: {len(data)}",
            "",
            "",
        ]
        connection.sendall("\r\n".join(lines).encode() + data[: len(data) // 2])
        until = time.monotonic() + 10
        while int(head(world, upload).headers["upload-offset"]) <= offset:
            assert time.monotonic() < until


def code(answer: httpx.Response) -> str:
    return answer.json()["type"].removeprefix("urn:exchange:problem:")


def test_a_cut_upload_goes_on_after_a_kill_and_is_delivered(world: World) -> None:
    upload = begin(world, "2014/flights.bin")
    send_and_break(world, upload, 0, DATA)
    world.server.kill()
    world.server.start()
    answer = head(world, upload)
    offset = int(answer.headers["upload-offset"])
    assert 0 < offset < len(DATA)
    assert answer.headers["upload-length"] == str(len(DATA))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["tus-resumable"] == "1.0.0"
    unfinished = [each["id"] for each in world.platform.get("/v1/uploads")["items"]]
    assert upload in unfinished
    done = send(world, upload, offset, DATA[offset:])
    assert (done.status_code, done.headers["upload-offset"]) == (204, str(len(DATA)))
    stored = world.platform.post(f"/v1/uploads/{upload}/complete")
    assert (stored["bytes"], stored["sha256"]) == (len(DATA), SHA256)
    assert world.platform.post(f"/v1/uploads/{upload}/complete") == stored
    terms = TERMS | {"source": {"connector": "files", "path": "2014"}}
    draft = world.platform.post("/v1/offerings", terms)
    published = world.platform.post(f"/v1/offerings/{draft['id']}/publish")
    assert [each["sha256"] for each in published["objects"]] == [SHA256]
    grant = ask(world.sme, published)["grant"]["id"]
    token = world.sme.token(f"grant:{grant}")
    url = f"{world.server.url}/gateway/grants/{grant}/files/flights.bin"
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).content == DATA


def test_the_core_of_tus_is_spoken(world: World) -> None:
    upload = begin(world, "tus.bin")
    assert send(world, upload, 0, b"12345", **{"Tus-Resumable": "1.0.0"}).status_code == 204
    wrong = send(world, upload, 0, b"12345")
    assert (wrong.status_code, code(wrong)) == (409, "offset_mismatch")
    assert wrong.headers["upload-offset"] == "5"
    other = send(world, upload, 5, b"6", **{"Tus-Resumable": "0.2.2"})
    assert (other.status_code, other.headers["tus-version"]) == (412, "1.0.0")
    kind = send(world, upload, 5, b"6", **{"Content-Type": "application/octet-stream"})
    assert kind.status_code == 415
    assert head(world, upload).headers["upload-offset"] == "5"
    gone = world.platform.request("DELETE", f"/v1/uploads/{upload}")
    assert gone.status_code == 204
    assert head(world, upload).status_code == 404
    assert code(send(world, upload, 5, b"6")) == "upload_unknown"


def test_offsets_that_are_none_are_refused(world: World) -> None:
    upload = begin(world, "offsets.bin")
    for offset in ("-1", "1.5", "x", "", "9" * 30, "0x1", "1e3"):
        refused = send(world, upload, 0, b"x", **{"Upload-Offset": offset})
        assert refused.status_code in (400, 422), offset
    headers = world.role("platform") | {"Content-Type": BODY}
    url = f"{world.server.url}/v1/uploads/{upload}"
    assert httpx.patch(url, headers=headers, content=b"x").status_code == 422
    assert head(world, upload).headers["upload-offset"] == "0"
    world.platform.request("DELETE", f"/v1/uploads/{upload}")


def test_limits_hold_before_and_while_it_arrives(world: World) -> None:
    headers = world.role("platform")
    wanted = {"name": "big.bin", "bytes": (4 << 20) + 1}
    refused = httpx.post(f"{world.server.url}/v1/uploads", headers=headers, json=wanted)
    assert (refused.status_code, code(refused)) == (413, "object_too_large")
    upload = begin(world, "small.bin", bytes=10, sha256=None)
    assert send(world, upload, 0, b"x" * (4 << 20)).status_code == 413
    assert send(world, upload, 0, b"x" * ((4 << 20) + 1)).status_code == 413
    with connect(world.server.port) as connection:  # and one that does not say how long it is
        lines = [
            f"PATCH /v1/uploads/{upload} HTTP/1.1",
            "Host: exchange.test",
            f"Authorization: {headers['Authorization']}",
            f"Upload-Offset: {head(world, upload).headers['upload-offset']}",
            f"Content-Type: {BODY}",
            "Transfer-Encoding: chunked",
            "",
            "",
        ]
        connection.sendall("\r\n".join(lines).encode() + b"20\r\n" + b"y" * 32 + b"\r\n0\r\n\r\n")
        assert read_response(connection).status == 413
    assert int(head(world, upload).headers["upload-offset"]) <= 10


def test_uploads_of_another_platform_are_not_there(world: World) -> None:
    upload = begin(world, "mine.bin")
    rival = world.role("rival")
    url = f"{world.server.url}/v1/uploads/{upload}"
    assert httpx.get(url, headers=rival).status_code == 404
    sent = rival | {"Upload-Offset": "0", "Content-Type": BODY}
    assert httpx.patch(url, headers=sent, content=b"x").status_code == 404
    assert httpx.post(url + "/complete", headers=rival).status_code == 404
    assert httpx.delete(url, headers=rival).status_code == 404
    assert upload not in str(httpx.get(f"{world.server.url}/v1/uploads", headers=rival).json())
    assert head(world, upload).headers["upload-offset"] == "0"
