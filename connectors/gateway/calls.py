"""Calls to platforms' services: verify, connect, record, forward; in this order.

The service's connection is opened before the use is recorded, so that what cannot be reached is not
counted; nothing is sent on it until then.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from connectors.forward.headers import HeaderRefused
from connectors.gateway.asking import asking, offer_nonce
from connectors.gateway.call_rules import check_length, may_call
from connectors.gateway.door import Use
from connectors.gateway.forwarded import ForwardedCall
from connectors.gateway.parameters import GrantId
from connectors.gateway.problems import GatewayProblem, documented
from connectors.gateway.recorded import record
from connectors.gateway.verify import Trust, verify_grant
from connectors.http import HttpSource

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CallPath = Annotated[
    str,
    Path(description="As the offering's rules allow, in its one spelling", examples=["stats"]),
]
_ANY: dict[str, Any] = {"*/*": {"schema": {}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "What the platform's service answered", "content": _ANY},
    **documented(400, 401, 403, 404, 408, 409, 413, 422, 429, 502, 503, 504),
}


def add_routes(routes: APIRouter, trust: Trust, source: HttpSource) -> None:
    """Add the routes by which services are called."""

    async def call(request: Request, grant_id: GrantId, path: CallPath) -> Response:
        """Call a platform's service under a grant. Each call that reaches it is a recorded use."""
        allowed = await verify_grant(asking(request, "call"), grant_id, trust)
        offer_nonce(request, allowed)
        delivery = allowed.delivery
        asked = may_call(delivery, request.scope)
        service = await source.find(delivery.provider_id, delivery.source)
        check_length(asked, service.limits.request_bytes)
        try:
            headers = service.headers(request.scope["headers"], asked.length)
        except HeaderRefused as error:
            raise GatewayProblem("header_refused", 400, "A header holds what none may.") from error
        opened = await service.connect(grant_id)
        try:
            recorded = await record(
                trust,
                delivery,
                Use(
                    grant_id=delivery.grant_id,
                    client_id=delivery.client_id,
                    object_name=asked.name,
                    object_version=service.version,
                    method=asked.method,
                    first_byte=-1,
                    last_byte=-1,
                    rev=delivery.rev,
                    proof=allowed.proof,
                ),
            )
        except BaseException:
            await opened.close()
            raise
        ids = [(b"exchange-grant", grant_id.encode()), (b"exchange-use", recorded.use_id.encode())]
        return ForwardedCall(opened, asked, headers + ids, recorded)

    for method in METHODS:
        routes.add_api_route(
            "/grants/{grant_id}/call/{path:path}",
            call,
            methods=[method],
            operation_id=f"call_service_by_{method.lower()}",
            response_class=Response,
            responses=_RESPONSES,
        )
