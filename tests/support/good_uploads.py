"""Good requests of resumable uploads, each of an upload of its own."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx

from tests.support.story import World

Send = Callable[..., httpx.Response]
Good = Callable[[World, Send], httpx.Response]
OFFSET = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


def upload(world: World, content: bytes = b"a,b\n") -> str:
    """An upload of the platform's whose bytes are here, but not complete."""
    for each in list(world.platform.pages("/v1/uploads"))[8:]:  # there may be a few
        world.platform.request("DELETE", f"/v1/uploads/{each['id']}")
    name = f"up-{secrets.token_hex(6)}.csv"
    made = world.platform.post("/v1/uploads", {"name": name, "bytes": len(content)})
    path = f"/v1/uploads/{made['id']}"
    world.platform.request("PATCH", path, content=content, headers=OFFSET)
    return str(made["id"])


def _upload(verb: str = "", content: bytes = b"a,b\n", **options: Any) -> Good:
    return lambda world, send: send(
        "platform", f"/v1/uploads/{upload(world, content)}{verb}", **options
    )


def _begin_upload(world: World, send: Send) -> httpx.Response:
    upload(world)
    return send("platform", "/v1/uploads", json={"name": "good/up.csv", "bytes": 3})


UPLOADS: dict[str, Good] = {
    "POST /v1/uploads": _begin_upload,
    "GET /v1/uploads": lambda w, send: send("platform", "/v1/uploads"),
    "GET /v1/uploads/{upload_id}": _upload(),
    "HEAD /v1/uploads/{upload_id}": _upload(),
    "PATCH /v1/uploads/{upload_id}": _upload(content=b"", headers=OFFSET),
    "POST /v1/uploads/{upload_id}/complete": _upload("/complete"),
    "DELETE /v1/uploads/{upload_id}": _upload(),
}
