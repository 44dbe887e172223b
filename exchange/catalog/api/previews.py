"""Routes about what a dataset looks like: its files' schemas, and a sample of their rows."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from exchange.catalog.api.filters import OfferingId
from exchange.catalog.api.tagged import TaggedRoute, tagged
from exchange.catalog.documents import may_know
from exchange.catalog.model import Offering
from exchange.catalog.preview import no_sample, read_preview, shown_samples
from exchange.catalog.store import Catalog, unknown_offering
from exchange.http import Body, Caller, caller_with
from exchange.participants.store import Participants


class ColumnOut(Body):
    """One column, its type as Apache Arrow names it."""

    name: str
    type: str
    nullable: bool


class TableOut(Body):
    """What one file holds. `columns` are the first 500; names and types may be cut with `…`."""

    name: str
    format: str
    columns: list[ColumnOut]
    column_count: int
    row_count: int | None = Field(description="Null where the file is too long to count")


class SchemaOut(Body):
    """The schemas of a version's files; a file that holds no sound table is left out."""

    offering_id: str
    version: int
    files: list[TableOut]


class SampleTableOut(Body):
    """The first rows of one file, in the order of its columns; long values are cut with `…`."""

    name: str
    columns: list[str]
    rows: list[list[Any]]


class SampleOut(Body):
    """Rows of a version's files, as many as its platform shows."""

    offering_id: str
    version: int
    files: list[SampleTableOut]


def router(catalog: Catalog, participants: Participants) -> APIRouter:
    """Return the routes of schemas and samples."""
    routes = APIRouter(prefix="/v1", tags=["catalog"], route_class=TaggedRoute)
    reader = caller_with("catalog")

    async def known(offering_id: str, caller: Caller) -> Offering:
        offering = await catalog.offering(offering_id)
        if not may_know(offering, caller):
            raise unknown_offering()
        return offering

    @routes.get("/offerings/{offering_id}/schema", responses=tagged(401, 403, 404, 422, 503))
    async def get_schema(offering_id: OfferingId, caller: Annotated[Caller, reader]) -> SchemaOut:
        """Show the names and types of a dataset's columns, as they were when it was published."""
        offering = await known(offering_id, caller)
        preview = await read_preview(catalog.db, offering.id, offering.version)
        files = [TableOut.model_validate(table) for table in preview.tables]
        return SchemaOut(offering_id=offering.id, version=offering.version, files=files)

    @routes.get("/offerings/{offering_id}/sample", responses=tagged(401, 403, 404, 422, 503))
    async def get_sample(offering_id: OfferingId, caller: Annotated[Caller, reader]) -> SampleOut:
        """Show the first rows of a dataset, where its platform allows it; never personal data."""
        offering = await known(offering_id, caller)
        preview = await read_preview(catalog.db, offering.id, offering.version)
        shown = shown_samples(preview, offering)
        if (await participants.organisation(offering.provider_id)).status != "active":
            raise no_sample()
        files = [SampleTableOut.model_validate(each) for each in shown]
        return SampleOut(offering_id=offering.id, version=offering.version, files=files)

    return routes
