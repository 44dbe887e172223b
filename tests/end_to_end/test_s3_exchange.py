"""A platform's own store at a running exchange: connected, published, delivered, added to."""

import hashlib
import io
import os

import httpx
import pytest

from exchange.client import transfer, uploading
from exchange.client.transfer import download
from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator
from tests.support.s3 import REGION, STORES, Store
from tests.support.story import exchange_on

DATA = os.urandom(3 << 20)
PATCH = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in STORES],
)
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    with STORES[request.param]() as store:
        allowed = f"127.0.0.1:{store.port}"
        with exchange_on("sqlite", folder, upstream_allow=allowed) as server:
            by = operator(server.state)
            yield (
                store,
                server,
                join(by, "Platform", ["platform"]),
                join(by, "Small", ["sme"], SME_ATTRIBUTES),
            )


def connect(platform, store: Store, bucket: str, **changes) -> str:
    wanted = {
        "kind": "s3",
        "name": "Our store",
        "url": store.url,
        "bucket": bucket,
        "region": REGION,
        "credential": {
            "kind": "access_key",
            "access_key": store.access_key,
            "secret_key": store.secret_key,
        },
    }
    return platform.post("/v1/connections", wanted | changes)["id"]


def publish(platform, connection: str, path: str, **terms) -> dict:
    source = {"connector": "s3", "connection": connection, "path": path} | terms.pop("source", {})
    draft = platform.post("/v1/offerings", TERMS | {"source": source} | terms)
    return platform.post(f"/v1/offerings/{draft['id']}/publish")


def fetch(server, sme, grant: str, name: str, **options) -> httpx.Response:
    headers = {"Authorization": f"Bearer {sme.token(f'grant:{grant}')}"}
    headers |= options.pop("headers", {})
    url = f"{server.url}/gateway/grants/{grant}/files/{name}"
    return httpx.get(url, headers=headers, timeout=30, **options)


def test_objects_are_published_and_delivered_under_a_grant(place) -> None:
    store, server, platform, sme = place
    bucket = store.bucket()
    for name, data in {"a.bin": DATA, "b/rows.csv": b"day,tons\n1,2\n"}.items():
        store.client().put_object(bucket, f"flights/{name}", io.BytesIO(data), len(data))
    connection = connect(platform, store, bucket)
    tried = platform.post(f"/v1/connections/{connection}/check")
    assert (tried["works"], tried["code"]) == (True, "reachable")
    published = publish(platform, connection, "flights/")
    shown = {each["name"]: each["sha256"] for each in published["objects"]}
    assert shown["a.bin"] == hashlib.sha256(DATA).hexdigest()
    schema = sme.get(f"/v1/offerings/{published['id']}/schema")
    assert "tons" in str(schema)
    grant = ask(sme, published)["grant"]["id"]
    assert fetch(server, sme, grant, "a.bin").content == DATA
    part = fetch(server, sme, grant, "a.bin", headers={"Range": "bytes=1000000-1000009"})
    assert (part.status_code, part.content) == (206, DATA[1000000:1000010])
    store.client().put_object(bucket, "flights/a.bin", io.BytesIO(b"other"), 5)
    changed = fetch(server, sme, grant, "a.bin")
    assert changed.status_code == 409
    assert "object_changed" in changed.text
    for secret in (store.secret_key, store.access_key):
        assert secret not in server.log()
        assert secret not in changed.text
        assert secret not in str(platform.get(f"/v1/connections/{connection}"))


def test_a_redirected_download_is_recorded_and_its_url_stands_nowhere(place, tmp_path) -> None:
    store, server, platform, sme = place
    bucket = store.bucket(versions=True)
    store.client().put_object(bucket, "bulk/a.bin", io.BytesIO(DATA), len(DATA))
    connection = connect(platform, store, bucket)
    published = publish(platform, connection, "bulk/", source={"delivery": "redirect"})
    grant = ask(sme, published)["grant"]["id"]
    answer = fetch(server, sme, grant, "a.bin", headers={"Range": "bytes=5-9"})
    assert (answer.status_code, answer.content) == (307, b"")
    assert httpx.get(answer.headers["location"]).content == DATA
    [(path, item)] = sme.run(download(sme.core, grant, tmp_path))
    assert path.read_bytes() == DATA
    assert item.sha256 == hashlib.sha256(DATA).hexdigest()
    part = tmp_path / f"b.bin.{item.sha256[:16]}.part"  # cut after some bytes, it goes on
    part.write_bytes(DATA[:1000])
    sme.run(transfer.fetch(sme.core, f"grant:{grant}", item, tmp_path / "b.bin"))
    assert (tmp_path / "b.bin").read_bytes() == DATA
    signature = httpx.URL(answer.headers["location"]).params["X-Amz-Signature"]
    assert signature not in server.log()
    assert "X-Amz" not in server.log()
    headers = {"Authorization": f"Bearer {platform.token()}"}
    limited = TERMS | {"source": published["source"], "limits": {"bytes": 10}}
    refused = httpx.post(f"{server.url}/v1/offerings", headers=headers, json=limited)
    assert refused.status_code == 422
    platform.post(f"/v1/grants/{grant}/revoke", {"reason": "other"})
    assert fetch(server, sme, grant, "a.bin").status_code in (401, 403)


def test_a_connection_that_does_not_work_says_why(place) -> None:
    store, _, platform, _ = place
    wrong = {"kind": "access_key", "access_key": store.access_key, "secret_key": "w" * 40}
    for changes, code in (
        ({"credential": wrong}, "credential_refused"),
        ({"bucket": "nothing-here"}, "bucket_unknown"),
    ):
        connection = connect(platform, store, **({"bucket": store.bucket()} | changes))
        assert platform.post(f"/v1/connections/{connection}/check")["code"] == code


def test_a_new_version_is_uploaded_to_the_store_through_the_exchange(place, tmp_path) -> None:
    store, server, platform, sme = place
    bucket = store.bucket()
    connection = connect(platform, store, bucket)
    wanted = {
        "name": "2014/flights.bin",
        "bytes": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "connection": connection,
    }
    upload = platform.post("/v1/uploads", wanted)["id"]
    path = f"/v1/uploads/{upload}"
    half = len(DATA) // 2
    platform.request("PATCH", path, content=DATA[:half], headers=PATCH)
    (tmp_path / "x.bin").write_bytes(DATA)  # the client finds what was begun, and goes on
    told = []
    stored = platform.run(
        uploading.upload(
            *(platform.core, tmp_path / "x.bin", "2014/flights.bin"),
            lambda *each: told.append(each[1]),
            connection,
        )
    ).raw
    assert told[0] == half
    assert (stored["name"], stored["bytes"]) == ("2014/flights.bin", len(DATA))
    assert platform.post(f"{path}/complete") == stored
    assert store.client().get_object(bucket, "2014/flights.bin").read() == DATA
    published = publish(platform, connection, "2014/flights.bin")
    grant = ask(sme, published)["grant"]["id"]
    assert fetch(server, sme, grant, "flights.bin").content == DATA
    # The same name with another content: grants may stand on what is there.
    other = platform.post("/v1/uploads", wanted | {"bytes": 5, "sha256": None})["id"]
    platform.request("PATCH", f"/v1/uploads/{other}", content=b"other", headers=PATCH)
    headers = {"Authorization": f"Bearer {platform.token()}"}
    refused = httpx.post(f"{server.url}/v1/uploads/{other}/complete", headers=headers)
    assert (refused.status_code, "object_exists" in refused.text) == (409, True)
    assert store.client().get_object(bucket, "2014/flights.bin").read() == DATA
