"""Routes of resumable uploads, by the core protocol of tus 1.0: names, types and statuses are its.

    POST   /v1/uploads                {name, bytes, sha256?, connection?} -> an upload
    GET    /v1/uploads                those that are not complete
    HEAD   /v1/uploads/{id}           Upload-Offset, Upload-Length: where to go on after a cut
    PATCH  /v1/uploads/{id}           Upload-Offset and bytes, application/offset+octet-stream
    POST   /v1/uploads/{id}/complete  publish it under its name
    DELETE /v1/uploads/{id}           give it up

A client of tus that is given the URL of an upload sends it; beginning and completing are ours,
since both need more words than tus has. `Tus-Resumable` need not be sent, and is answered.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from exchange.catalog.documents import ObjectOut, object_document
from exchange.catalog.uploads import LARGEST, Progress, UploadIn, UploadOut, Uploads, upload_out
from exchange.errors import BadInput, Conflict
from exchange.http import Caller, Page, caller_with, problems

TUS = "1.0.0"
MEDIA_TYPE = "application/offset+octet-stream"
UploadId = Annotated[
    str, Path(pattern="^upl_[0-9a-f]{32}$", examples=["upl_" + "0123456789abcdef" * 2])
]
TusVersion = Annotated[str | None, Header(max_length=20, description="1.0.0, if it is sent")]
BYTES = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
SHOWN = {
    name: {"description": told, "schema": {"type": "string"}, "required": True}
    for name, told in {
        "Upload-Offset": "How many bytes are here",
        "Upload-Length": "How many it has in the end",
        "Tus-Resumable": "1.0.0",
    }.items()
}


def router(uploads: Uploads) -> APIRouter:
    """Return the routes of uploads."""
    routes = APIRouter(prefix="/v1", tags=["catalog"])
    platform = caller_with("offerings", "platform")
    reader = caller_with("offerings", "platform", own_affairs=True)

    @routes.post(
        "/uploads",
        status_code=201,
        responses=problems(400, 401, 403, 409, 413, 415, 422, 503, 507),
    )
    async def post_upload(
        body: UploadIn, response: Response, caller: Annotated[Caller, platform]
    ) -> UploadOut:
        """Begin an upload that may be cut and gone on with, for your files or your S3 store."""
        made = await uploads.begin(
            caller.org_id, body.name, body.bytes, body.sha256, body.connection
        )
        response.headers["Location"] = f"/v1/uploads/{made.id}"
        response.headers.update(_headers(made))
        return upload_out(made)

    @routes.get("/uploads", responses=problems(401, 403, 422, 503))
    async def get_uploads(caller: Annotated[Caller, reader]) -> Page[UploadOut]:
        """List your uploads that are not complete: 32 at most."""
        found = [upload_out(each) for each in await uploads.unfinished(caller.org_id)]
        return Page(items=sorted(found, key=lambda each: (each.name, each.id)), next=None)

    @routes.get("/uploads/{upload_id}", responses=problems(401, 403, 404, 412, 422, 503))
    async def get_upload(
        upload_id: UploadId,
        response: Response,
        caller: Annotated[Caller, reader],
        tus_resumable: TusVersion = None,
    ) -> UploadOut:
        """Say how far an upload came."""
        _check(tus_resumable)
        found = await uploads.look(caller.org_id, upload_id)
        response.headers.update(_headers(found))
        return upload_out(found)

    @routes.head(
        "/uploads/{upload_id}",
        response_class=Response,
        responses={
            200: {"description": "How far it came", "headers": SHOWN},
            **problems(401, 403, 404, 412, 422, 503),
        },
    )
    async def head_upload(
        upload_id: UploadId,
        caller: Annotated[Caller, reader],
        tus_resumable: TusVersion = None,
    ) -> Response:
        """Say in headers how far an upload came."""
        _check(tus_resumable)
        return Response(headers=_headers(await uploads.look(caller.org_id, upload_id)))

    @routes.patch(
        "/uploads/{upload_id}",
        status_code=204,
        response_class=Response,
        responses={
            204: {"description": "They are here, on disk", "headers": SHOWN},
            **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 503, 507),
        },
        openapi_extra={"requestBody": {"required": True, "content": BYTES}},
    )
    async def patch_upload(
        upload_id: UploadId,
        request: Request,
        caller: Annotated[Caller, platform],
        upload_offset: Annotated[int, Header(ge=0, le=LARGEST, description="Where they begin")],
        tus_resumable: TusVersion = None,
    ) -> Response:
        """Send bytes from Upload-Offset on; after a cut ask for the offset, and go on there."""
        _check(tus_resumable)
        kinds = request.headers.getlist("content-type")
        if [kind.strip().lower() for kind in kinds] != [MEDIA_TYPE]:
            raise BadInput("type_unknown", f"Send the bytes as {MEDIA_TYPE}.", status=415)
        now = await uploads.append(caller.org_id, upload_id, upload_offset, request.stream())
        return Response(None, 204, _headers(now))

    @routes.post(
        "/uploads/{upload_id}/complete",
        responses=problems(401, 403, 404, 409, 413, 422, 503, 507),
    )
    async def post_complete(upload_id: UploadId, caller: Annotated[Caller, platform]) -> ObjectOut:
        """Publish an upload under its name, whole or not at all; never over another content."""
        return ObjectOut(**object_document(await uploads.complete(caller.org_id, upload_id)))

    @routes.delete(
        "/uploads/{upload_id}",
        status_code=204,
        response_class=Response,
        responses=problems(401, 403, 404, 409, 422, 503),
    )
    async def delete_upload(upload_id: UploadId, caller: Annotated[Caller, platform]) -> Response:
        """Give an upload up; what it became stays."""
        await uploads.drop(caller.org_id, upload_id)
        return Response(None, 204, {"Tus-Resumable": TUS})

    return routes


def _check(version: str | None) -> None:
    if version not in (None, TUS):
        raise Conflict(
            "tus_version_unknown",
            f"Tus-Resumable must be {TUS}.",
            status=412,
            headers={"Tus-Version": TUS},
        )


def _headers(upload: Progress) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.bytes),
        "Tus-Resumable": TUS,
        "Cache-Control": "no-store",
    }
