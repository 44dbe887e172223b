"""The mounted gateway's door to this exchange: what a grant allows, and where uses are recorded."""

import asyncio
import dataclasses
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from connectors.files import FileSource
from connectors.gateway.door import Delivery, DoorRefused, DoorUnavailable, FileObject, Use
from connectors.gateway.problems import GatewayProblem, answer_problem
from connectors.s3 import S3Source
from exchange.access.allowance import UseOf
from exchange.access.allowance_words import said, worded
from exchange.access.model import Grant
from exchange.access.record_use import record_use, spend_rate
from exchange.access.request_access import Desk
from exchange.access.running import end_use, extend_use
from exchange.catalog.model import SourceObject, Table
from exchange.clock import now_ms
from exchange.errors import BadInput, ExchangeError, Unavailable
from exchange.http import language
from exchange.ledger.proving import proving
from exchange.ledger.write import Once
from exchange.participants.credentials import credential_names
from exchange.participants.model import Client
from exchange.watchers import Watchers

log_to = logging.getLogger("exchange.gateway")
SEEN = 1_000


class MountedDoor:
    """`connectors.gateway.door.Door` over the exchange's own parts."""

    def __init__(self, desk: Desk, watchers: Watchers, session_minutes: int) -> None:
        self._desk, self._watchers, self._minutes = desk, watchers, session_minutes
        self._seen: OrderedDict[str, Grant] = OrderedDict()  # as last looked up

    async def look_up(self, grant_id: str) -> Delivery | None:
        """Return what the grant allows now, read now."""
        try:
            grant = await self._desk.store.grant(grant_id)
            if grant is None:
                return None
            self._remember(grant)
            client = await self._client(grant.client_id)
            terms, objects = await self._desk.catalog.version(
                grant.offering_id, grant.offering_version
            )
        except ExchangeError as error:
            raise DoorUnavailable from error
        return Delivery(
            grant_id=grant.id,
            client_id=grant.client_id,
            consumer_id=grant.consumer_id,
            provider_id=grant.provider_id,
            status=grant.state(now_ms()),
            ends_ms=grant.ends_ms,
            obligations=grant.obligations,
            offering_id=grant.offering_id,
            offering_version=grant.offering_version,
            connector=str(terms.source.get("connector", "")),
            source=terms.source,
            objects=tuple(FileObject(**dataclasses.asdict(item)) for item in objects),
            rev=grant.rev,
            client_keys=credential_names(client),
        )

    def watch(self, delivery: Delivery) -> AbstractContextManager[asyncio.Event]:
        """Give an event for whatever the delivery rests on."""
        of_grant = (delivery.grant_id, delivery.client_id, delivery.offering_id)
        return self._watchers.watch((*of_grant, delivery.consumer_id, delivery.provider_id))

    async def record(self, use: Use) -> str:
        """Commit the use against the grant's rev that the gateway saw."""
        try:
            grant, client = await self._parties(use)
            what = UseOf(
                use.object_name, use.object_version, use.method, use.first_byte, use.last_byte
            )
            seen = dataclasses.replace(grant, rev=use.rev)
            proof = use.proof
            once = Once(proof.key, proof.expires_ms) if proof is not None else None
            with proving(once):
                return await record_use(self._desk, seen, client, what, self._minutes)
        except ExchangeError as error:
            raise _refusal(error) from error

    async def count(self, delivery: Delivery) -> None:
        """Count a request without data towards the grant's rate."""
        try:
            grant = self._seen.get(delivery.grant_id)
            if grant is None or grant.rev != delivery.rev:
                grant = await self._desk.store.grant(delivery.grant_id)
            if grant is not None:
                await spend_rate(self._desk.ledger, grant)
        except ExchangeError as error:
            raise _refusal(error) from error

    async def extend(self, use_id: str, more_bytes: int) -> None:
        """Keep a use's lease, and reserve what it delivers next."""
        try:
            await extend_use(self._desk.store, use_id, more_bytes)
        except ExchangeError as error:
            raise _refusal(error) from error

    async def finished(self, use_id: str, sent_bytes: int, complete: bool) -> None:
        """Note how the use ended; a failure leaves it "unknown" in the session's leaf."""
        try:
            await end_use(self._desk.store, use_id, sent_bytes, complete=complete)
        except ExchangeError:
            log_to.exception("use_end_not_recorded")

    async def _client(self, client_id: str) -> Client:
        """Return a client that may still act; one that is disabled gets nothing more."""
        client = await self._desk.participants.clients.get(client_id)
        if client is None or client.status != "active":
            raise DoorRefused("client_disabled", "This client may not use the grant any more.")
        return client

    def _remember(self, grant: Grant) -> None:
        self._seen[grant.id] = grant
        self._seen.move_to_end(grant.id)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)

    async def _parties(self, use: Use) -> tuple[Grant, Client]:
        # What the use's gateway saw need not be read again: the commit checks that it still is so.
        grant = self._seen.get(use.grant_id)
        if grant is None or grant.rev != use.rev:
            grant = await self._desk.store.grant(use.grant_id)
        if grant is None:
            raise DoorRefused("grant_unknown", "There is no such grant any more.")
        return grant, await self._client(use.client_id)


def _refusal(error: ExchangeError) -> DoorRefused | DoorUnavailable:
    if isinstance(error, Unavailable):
        return DoorUnavailable()
    return DoorRefused(
        error.code,
        error.detail,
        error.status_code,
        hint=error.hint,
        members=error.members,
        headers=error.headers,
    )


async def answer_in_words(request: Request, problem: Exception) -> Response:
    """Answer with a GatewayProblem, in the language that is asked for where there are words."""
    lang = language(request.headers.get("accept-language"))
    if isinstance(problem, GatewayProblem) and lang != "en":
        members, code = dict(problem.members), problem.code
        if remedies := members.get("remedies"):
            members["remedies"] = worded(remedies, lang)
            problem.hint = " ".join(each["text"] for each in members["remedies"])
        problem.members = members
        problem.detail = said(code, members, lang) or problem.detail
        problem.hint = said(f"hint:{code}", members, lang) or problem.hint
    return await answer_problem(request, problem)


class MountedSources:
    """`catalog.model.Sources` over the connectors of datasets."""

    def __init__(self, files: FileSource, s3: S3Source, upload_bytes: int) -> None:
        self._files, self._s3, self._limit = files, s3, upload_bytes

    async def describe(self, org_id: str, source: Mapping[str, Any]) -> tuple[SourceObject, ...]:
        """Name, measure and hash what a source holds."""
        path = source.get("path")
        if not isinstance(path, str):
            raise BadInput(
                "source_missing",
                "The offering names no source.",
                status=422,
                hint="PUT /v1/files/NAME uploads a file; then set source.path to its name.",
            )
        if source.get("connector") == "s3":
            found = await self._s3.describe(org_id, source)
        else:
            found = await self._files.describe(org_id, path)
        return tuple(SourceObject(**dataclasses.asdict(item)) for item in found)

    async def peek(
        self, org_id: str, source: Mapping[str, Any], objects: Sequence[SourceObject], rows: int
    ) -> Sequence[Table]:
        """Read schemas and first rows of those objects that are tables."""
        items = [FileObject(**dataclasses.asdict(item)) for item in objects]
        connector = self._s3 if source.get("connector") == "s3" else self._files
        found = await connector.peek(org_id, source, items, rows)
        return [Table(**dataclasses.asdict(table)) for table in found]

    async def store(self, org_id: str, name: str, chunks: AsyncIterator[bytes]) -> SourceObject:
        """Keep an uploaded file among the organisation's own."""
        stored = await self._files.store(org_id, name, chunks, self._limit)
        return SourceObject(**dataclasses.asdict(stored))
