"""Verbs that show what is offered before it is asked for: columns, some rows, DCAT."""

from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

import typer

from exchange.cli.offerings import OfferingId
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    out,
    plain,
    print_json,
    print_table,
    session,
)
from exchange.client.session import Session


def schema(
    offering: OfferingId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show the columns of a dataset's files."""
    with session(profile, as_json=as_json) as me:
        found = me.get(f"/v1/offerings/{offering}/schema")
    if as_json:
        print_json(found)
        return
    for file in found["files"]:
        rows = "?" if file["row_count"] is None else file["row_count"]
        out.print(plain(f"{file['name']}  {file['format']}  {rows} rows 行"), style="bold")
        shown = [
            (column["name"], column["type"], "null" if column["nullable"] else "")
            for column in file["columns"]
        ]
        print_table(("column 列", "type 类型", ""), shown, indent="  ")
        if file["column_count"] > len(shown):
            out.print(f"  … {file['column_count']}")


def sample(
    offering: OfferingId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show the first rows of a dataset, where its platform allows it."""
    with session(profile, as_json=as_json) as me:
        found = me.get(f"/v1/offerings/{offering}/sample")
    if as_json:
        print_json(found)
        return
    for file in found["files"]:
        out.print(plain(file["name"]), style="bold")
        rows = [["" if cell is None else cell for cell in row] for row in file["rows"]]
        print_table(file["columns"], rows, indent="  ")


def dcat(
    offering: Annotated[
        str | None, typer.Argument(metavar="[OFFERING]", help="off_…; without, the whole catalog")
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Print an offering, or the whole catalog, as DCAT-AP in JSON-LD: JSON in any case."""
    with session(profile, as_json=as_json) as me:
        if offering is not None:
            print_json(me.get(f"/v1/offerings/{offering}/dcat"))
        else:
            print_json(_harvest(me))


def _harvest(me: Session) -> dict[str, Any]:
    """Return all pages of the catalog as one document."""
    whole = page = me.get("/v1/catalog/dcat")
    while following := page["hydra:view"].get("hydra:next"):
        # Its parameters only: where it leads to is not the server's to say.
        page = me.get("/v1/catalog/dcat", **dict(parse_qsl(urlsplit(following["@id"]).query)))
        for part in ("dcat:dataset", "dcat:service"):
            whole[part] += page[part]
    return {name: value for name, value in whole.items() if name != "hydra:view"}
