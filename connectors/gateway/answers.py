"""What the gateway answers: the list of a grant's objects, and the headers of one object."""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from connectors.forward.limits import MOST, limits_of
from connectors.gateway.call_rules import CONNECTOR, shown_rules
from connectors.gateway.door import Delivery, FileObject
from connectors.gateway.ranges import Span, whole

_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,60}", re.ASCII)
_PLAIN_NAME = re.compile(r"[^A-Za-z0-9._-]")

_EXAMPLE: JsonDict = {
    "grant_id": "grt_k3x9_01j9zq4x5ve8wk2n7c6r3tq0ab",
    "offering_id": "off_01j9zq4x5ve8wk2n7c6r3tq0ab",
    "offering_version": 1,
    "provider_id": "org_01j9zq4x5ve8wk2n7c6r3tq0ab",
    "ends_at": "2026-12-31T16:00:00.000Z",
    "obligations": {"days": 30, "sessions": 5},
    "objects": [
        {
            "name": "flights.parquet",
            "bytes": 8123456,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "media_type": "application/vnd.apache.parquet",
            "url": "https://exchange.example/gateway/grants/grt_k3x9_01j9zq4x5ve8wk2n7c6r3tq0ab"
            "/files/flights.parquet",
        }
    ],
}


class ListedObject(BaseModel):
    """One object that the grant delivers; `sha256` (hex) is of the whole, and its ETag."""

    name: str
    bytes: int
    sha256: str
    media_type: str
    url: str


class ListedCalls(BaseModel):
    """Which calls of a service the grant allows: METHOD /path, below `url`; how big, how long."""

    url: str
    allow: list[str]
    max_request_bytes: int
    max_response_bytes: int
    seconds: float


class ListedGrant(BaseModel):
    """What may be fetched or called under a grant, until when, and what the gateway enforces."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    grant_id: str
    offering_id: str
    offering_version: int
    provider_id: str
    ends_at: str = Field(description="RFC 3339, UTC")
    obligations: dict[str, Any]
    objects: list[ListedObject]
    calls: ListedCalls | None = None

    @classmethod
    def of(cls, delivery: Delivery, base_url: str) -> Self:
        """Write a delivery; `base_url` is the gateway's registered URL."""
        files = f"{base_url}/grants/{delivery.grant_id}/files/"
        return cls(
            grant_id=delivery.grant_id,
            offering_id=delivery.offering_id,
            offering_version=delivery.offering_version,
            provider_id=delivery.provider_id,
            ends_at=_rfc3339(delivery.ends_ms),
            obligations=dict(delivery.obligations),
            objects=[
                ListedObject(
                    name=item.name,
                    bytes=item.bytes,
                    sha256=item.sha256,
                    media_type=item.media_type,
                    url=files + quote(item.name, safe="/"),
                )
                for item in delivery.objects
            ],
            calls=_calls(delivery, base_url) if delivery.connector == CONNECTOR else None,
        )


def _calls(delivery: Delivery, base_url: str) -> ListedCalls:
    limits = limits_of(delivery.source, MOST)
    return ListedCalls(
        url=f"{base_url}/grants/{delivery.grant_id}/call",
        allow=list(shown_rules(delivery)),
        max_request_bytes=limits.request_bytes,
        max_response_bytes=limits.response_bytes,
        seconds=limits.seconds,
    )


def etag(item: FileObject) -> str:
    """The strong entity tag: the hash of the content, so it is the same on every gateway."""
    return f'"{item.sha256}"'


def object_headers(item: FileObject, span: Span | None) -> Mapping[str, str]:
    """Headers of a 200, or of a 206 with a span."""
    part = span or whole(item.bytes)
    headers = {
        "Content-Type": item.media_type
        if _MEDIA_TYPE.fullmatch(item.media_type)
        else "application/octet-stream",
        "Content-Length": str(part.length),
        "Content-Disposition": disposition(item.name),
        "Repr-Digest": f"sha-256=:{_base64(item.sha256)}:",  # RFC 9530: of the whole, in a 206 too
        **validators(item),
    }
    if span:
        headers["Content-Range"] = f"bytes {span.first}-{span.last}/{item.bytes}"
    return headers


def validators(item: FileObject) -> Mapping[str, str]:
    """Headers that a 304 repeats (RFC 9110 section 15.4.5).

    A reader may keep what was delivered to it, and asks each time whether the grant still stands.
    """
    return {
        "ETag": etag(item),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache, no-transform",
        "Vary": "Authorization",
        "X-Content-Type-Options": "nosniff",
    }


def disposition(name: str) -> str:
    """RFC 6266: save it under the last part of its name, in ASCII and in full (RFC 8187)."""
    last = name.rpartition("/")[2]
    plain = _PLAIN_NAME.sub("_", last).lstrip(".") or "object"
    extended = "" if plain == last else f"; filename*=UTF-8''{quote(last, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def _rfc3339(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"
