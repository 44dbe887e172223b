"""An exchange that takes uploads, in memory, and does with them what a test wants."""

import hashlib
import json
import re

import httpx


class Taking:
    """Answers a client's requests; what the first of its `faults` returns for one is the answer, or
    is raised.
    """

    def __init__(self):
        self.uploads, self.stored, self.asked, self.faults = {}, {}, [], []
        self.tokens, self.spoil = 0, lambda data: data

    def __call__(self, request):
        path, method = request.url.path, request.method
        if path == "/oauth/token":
            self.tokens += 1
            return httpx.Response(
                200,
                json={"access_token": f"t{self.tokens}", "expires_in": 300, "token_type": "Bearer"},
            )
        self.asked.append(request)
        for each in self.faults:
            answer = each(request)
            if isinstance(answer, BaseException):
                raise answer
            if answer is not None:
                return answer
        if path == "/v1/uploads":
            return self._begin(request) if method == "POST" else self._list()
        [upload_id, verb] = re.fullmatch("/v1/uploads/([a-z0-9_]+)(/complete)?", path).groups()
        if upload_id not in self.uploads:
            return problem(404, "upload_unknown", "There is no such upload (any more).")
        if verb:
            return self._complete(upload_id)
        return getattr(self, f"_{method.lower()}")(upload_id, request)

    def said(self):
        """What was asked, as METHOD and what follows /v1/uploads."""
        return [f"{r.method} {r.url.path.removeprefix('/v1/uploads')}".strip() for r in self.asked]

    def offsets(self):
        return [int(r.headers["upload-offset"]) for r in self.asked if r.method == "PATCH"]

    def add(self, offset, **announced):
        """An upload that was begun before."""
        upload_id = f"upl_{len(self.uploads) + len(self.stored)}"
        self.uploads[upload_id] = {"connection": None, **announced, "data": bytes(offset)}
        return upload_id

    def _show(self, upload_id):
        upload = self.uploads[upload_id]
        shown = {key: value for key, value in upload.items() if key != "data"}
        return {"id": upload_id, **shown, "offset": len(upload["data"])}

    def _list(self):
        return httpx.Response(200, json={"items": [*map(self._show, self.uploads)], "next": None})

    def _begin(self, request):
        return httpx.Response(201, json=self._show(self.add(0, **json.loads(request.content))))

    def _get(self, upload_id, _request):
        return httpx.Response(200, json=self._show(upload_id))

    def _patch(self, upload_id, request):
        upload = self.uploads[upload_id]
        assert request.headers["content-type"] == "application/offset+octet-stream"
        if int(request.headers["upload-offset"]) != len(upload["data"]):
            return problem(409, "offset_mismatch", "Go on from elsewhere.")
        upload["data"] += request.content
        return httpx.Response(204, headers={"Upload-Offset": str(len(upload["data"]))})

    def _delete(self, upload_id, _request):
        del self.uploads[upload_id]
        return httpx.Response(204)

    def _complete(self, upload_id):
        upload = self.uploads.pop(upload_id)
        data = self.spoil(upload["data"])
        self.stored[upload["name"]] = data
        stored = {"name": upload["name"], "bytes": len(data), "media_type": "x/y"}
        return httpx.Response(200, json=stored | {"sha256": hashlib.sha256(data).hexdigest()})


def problem(status, code, detail):
    document = {"type": f"urn:exchange:problem:{code}", "detail": detail, "status": status}
    return httpx.Response(status, json=document)


def fault(answer, method="PATCH", first=1, count=1, ending=""):
    """Some requests of a method and path's ending are answered so, counted from 1.

    `answer` is a problem's (status, code, detail), an exception, or what is called beforehand and
    may return either, or nothing.
    """
    seen = [0]

    def on(request):
        if request.method != method or not request.url.path.endswith(ending):
            return None
        seen[0] += 1
        if not first <= seen[0] < first + count:
            return None
        given = answer() if callable(answer) else answer
        return problem(*given) if isinstance(given, tuple) else given

    return on
