"""Routes of the gateway: verify, open, record, deliver; in this order, and no byte before."""

from collections.abc import Callable, Container, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from connectors.gateway import calls
from connectors.gateway.answers import ListedGrant, etag, object_headers, validators
from connectors.gateway.asking import asking, offer_nonce
from connectors.gateway.conditions import Conditions
from connectors.gateway.door import Delivery, Door, FileObject, Use
from connectors.gateway.parameters import GrantId, bearer
from connectors.gateway.problems import NotNow, documented
from connectors.gateway.ranges import Span, whole
from connectors.gateway.recorded import Recorded, count, record
from connectors.gateway.redirect import AUTHORISED, is_redirected, location, redirect
from connectors.gateway.source import Opened, Source
from connectors.gateway.stream import ObjectStream
from connectors.gateway.verify import Allowed, Trust, verify_grant, verify_object
from connectors.http import HttpSource
from exchange.formats.shown import Nonces
from exchange.formats.tokens import KeySet

ObjectName = Annotated[
    str,
    Path(min_length=1, max_length=512, description="As listed", examples=["flights.parquet"]),
]
_BINARY = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_HEADERS = {
    name: {"description": told, "schema": {"type": "string"}}
    for name, told in {
        "ETag": "The object's sha256 (hex): strong, the same for ranges and on every gateway",
        "Repr-Digest": "sha-256 of the whole object (RFC 9530), in a 206 too",
        "Accept-Ranges": "bytes",
    }.items()
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole object", "content": _BINARY, "headers": _HEADERS},
    304: {"description": "If-None-Match names this version"},
    **documented(400, 401, 403, 404, 409, 412, 422, 429, 503),
}
_GET_RESPONSES: dict[int | str, dict[str, Any]] = {
    206: {"description": "The range that was asked for", "content": _BINARY, "headers": _HEADERS},
    307: {"description": "The platform's store has it: Location is good for 30 s, and a secret"},
    **documented(416),
    **_RESPONSES,
}


def router(
    door: Door,
    sources: Mapping[str, Source],
    keys: Callable[[], KeySet],
    nonces: Nonces,
    *,
    issuer: str,
    audience: str,
    clock: Callable[[], int],
    services: HttpSource | None = None,
    revoked: Container[str] = (),
    metadata: str | None = None,
) -> APIRouter:
    """Return the gateway's routes, below `/gateway`.

    `sources` is by the name that a Delivery's `connector` gives; `keys` gives the issuer's current
    ones, `nonces` are those of DPoP proofs. `audience` is this gateway's registered URL, with
    `/gateway` and no slash at its end; `clock` gives UTC milliseconds; `services` calls what an
    offering of a service names; `metadata` is where this gateway's own is (RFC 9728), for 401s.
    Register `problems.answer_problem` for GatewayProblem.
    """
    trust = Trust(door, keys, nonces, issuer, audience, clock, revoked=revoked)

    async def name_metadata(request: Request) -> None:
        request.state.resource_metadata = metadata

    first = [Depends(name_metadata), Depends(bearer)]
    routes = APIRouter(prefix="/gateway", tags=["gateway"], dependencies=first)

    @routes.get(
        "/grants/{grant_id}",
        operation_id="list_granted_objects",
        responses=documented(401, 403, 404, 422, 503),
    )
    async def list_objects(request: Request, response: Response, grant_id: GrantId) -> ListedGrant:
        """List what may be fetched under a grant."""
        allowed = await verify_grant(asking(request), grant_id, trust)
        offer_nonce(request, allowed)
        response.headers["Cache-Control"] = "private, no-cache"
        return ListedGrant.of(allowed.delivery, audience)

    @routes.get(
        "/grants/{grant_id}/files/{name:path}",
        operation_id="fetch_granted_object",
        response_class=Response,
        responses=_GET_RESPONSES,
    )
    async def fetch(
        request: Request,
        grant_id: GrantId,
        name: ObjectName,
        conditions: Annotated[Conditions, Depends()],
    ) -> Response:
        """Fetch an object or one range of it. Each answer with data is a recorded use.

        Where the offering chose so, the answer is a redirect to the platform's store: fetch the
        Location within 30 s, with the Range alone, and compare what comes with Repr-Digest.
        """
        allowed, item = await verify_object(asking(request, "read"), grant_id, name, trust)
        offer_nonce(request, allowed)
        delivery = allowed.delivery
        if conditions.unmodified(etag(item)):
            await count(trust, delivery)
            return Response(None, 304, validators(item))
        span = conditions.span(etag(item), item.bytes)
        elsewhere = is_redirected(delivery)
        opened = await _open(sources, delivery, item)
        part = span or whole(item.bytes)
        try:
            if elsewhere:
                url = await location(opened, item)
                await _record(trust, allowed, item, part, AUTHORISED)
                await opened.close()
                return redirect(url, item)
            recorded = await _record(trust, allowed, item, part)
        except BaseException:
            await opened.close()
            raise
        status, headers = 206 if span else 200, object_headers(item, span)
        return ObjectStream(opened, part, recorded, status, headers)

    @routes.head(
        "/grants/{grant_id}/files/{name:path}",
        operation_id="inspect_granted_object",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def inspect(
        request: Request,
        grant_id: GrantId,
        name: ObjectName,
        conditions: Annotated[Conditions, Depends()],
    ) -> Response:
        """Check all that GET checks, and answer its headers. No data, so no use is recorded.

        A grant's `calls_per_minute` counts it.
        """
        allowed, item = await verify_object(asking(request, "read"), grant_id, name, trust)
        offer_nonce(request, allowed)
        delivery = allowed.delivery
        await count(trust, delivery)
        if conditions.unmodified(etag(item)):
            return Response(None, 304, validators(item))
        opened = await _open(sources, delivery, item)
        await opened.close()
        return Response(None, 200, object_headers(item, None))

    if services is not None:
        calls.add_routes(routes, trust, services)
    return routes


async def _open(sources: Mapping[str, Source], delivery: Delivery, item: FileObject) -> Opened:
    source = sources.get(delivery.connector)
    if source is None:
        raise NotNow("connector_missing", "This gateway has no connector of the offering's kind.")
    return await source.open(delivery.provider_id, delivery.source, item)


async def _record(
    trust: Trust, allowed: Allowed, item: FileObject, part: Span, method: str = "GET"
) -> Recorded:
    delivery = allowed.delivery
    use = Use(
        grant_id=delivery.grant_id,
        client_id=delivery.client_id,
        object_name=item.name,
        object_version=item.sha256,
        method=method,
        first_byte=part.first,
        last_byte=part.last,
        rev=delivery.rev,
        proof=allowed.proof,
    )
    return await record(trust, delivery, use)
