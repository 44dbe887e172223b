"""Verbs about offerings."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)
from exchange.cli.transfer import upload

app = typer.Typer(help="What platforms publish.", no_args_is_help=True)
Terms = Annotated[Path, typer.Option(help="The offering's terms, a JSON file")]
OfferingId = Annotated[str, typer.Argument(metavar="OFFERING", help="off_…")]

# Said beside the flag itself, which programs read.
SANDBOX = "yes, anyone registered may try it at once · 沙箱：任何已注册的机构均可立即试用"

Facet = Annotated[list[str] | None, typer.Option(help="Again for another value: either applies")]


def read_json(path: Path) -> Any:
    """Read a JSON file that the user named; raises BadParameter."""
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} is no JSON file: {error}") from error


@app.command("publish")
def publish(
    terms: Terms,
    file: Annotated[Path | None, typer.Option(help="A dataset's file, uploaded first")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Upload a dataset's file, write the offering's draft, publish it (platform)."""
    document = read_json(terms)
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{terms} holds no JSON object")
    with session(profile, as_json=as_json) as me:
        if file is not None:
            stored = upload(me, file, file.name)
            document["source"] = {"connector": "files", "path": stored["name"]}
        draft = me.post("/v1/offerings", document)
        offering = me.post(f"/v1/offerings/{draft['id']}/publish")
    if as_json:
        print_json(offering)
        return
    out.print(plain(f"{offering['id']} version {offering['version']} published"))


@app.command("list")
def list_offerings(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """List published offerings, and your own in every state."""
    with session(profile, as_json=as_json) as me:
        _print_offerings(me.pages("/v1/offerings"), as_json=as_json)


def _print_offerings(found: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    print_list(
        found,
        ("id", "kind", "title", "名称", "status", "purposes"),
        lambda o: (
            *(o["id"], o["kind"], o["title_en"], o["title_zh"]),
            *(o["status"] + (" (sandbox 沙箱)" if o["sandbox"] else ""), ", ".join(o["purposes"])),
        ),
        as_json=as_json,
    )


@app.command("search")
def search(
    text: Annotated[str, typer.Argument(help="Words or parts of words, English or Chinese")] = "",
    kind: Facet = None,
    industry: Facet = None,
    classification: Facet = None,
    purpose: Facet = None,
    jurisdiction: Facet = None,
    platform: Facet = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Only what anyone registered may try at once")
    ] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Search offerings: all words, and one of the values of each facet given, newest first."""
    facets = {
        "kind": kind,
        "industry": industry,
        "classification": classification,
        "purpose": purpose,
        "jurisdiction": jurisdiction,
        "platform": platform,
    }
    asked = {"q": text, **facets, "sandbox": sandbox}
    with session(profile, as_json=as_json) as me:
        _print_offerings(
            me.pages("/v1/offerings", **{n: v for n, v in asked.items() if v}), as_json=as_json
        )


@app.command("versions")
def versions(
    offering: OfferingId,
    number: Annotated[int | None, typer.Option(help="Show this version whole")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List an offering's published versions, or show one as it was."""
    path = f"/v1/offerings/{offering}/versions"
    with session(profile, as_json=as_json) as me:
        if number is not None:
            print_document(me.get(f"{path}/{number}"), as_json=as_json)
            return
        print_list(
            me.pages(path),
            ("version", "published", "title", "名称", "event"),
            lambda v: (
                *(v["version"], v["published_at"]),
                *(v["title_en"], v["title_zh"], v["event_id"]),
            ),
            as_json=as_json,
        )


@app.command("show")
def show(
    offering: OfferingId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show an offering."""
    with session(profile, as_json=as_json) as me:
        found = me.get(f"/v1/offerings/{offering}")
    if as_json:
        print_json(found)
        return
    told = f"{SANDBOX} (exchange try {offering})" if found["sandbox"] else None
    print_document({**found, "sandbox": told}, as_json=False)


@app.command("revise")
def revise(
    offering: OfferingId,
    terms: Terms,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Give an offering new terms: a published one gets a new version (platform)."""
    document = read_json(terms)
    with session(profile, as_json=as_json) as me:
        print_document(me.put(f"/v1/offerings/{offering}", document), as_json=as_json)


@app.command("withdraw")
def withdraw(
    offering: OfferingId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Withdraw an offering: no new grants (platform)."""
    with session(profile, as_json=as_json) as me:
        print_document(me.post(f"/v1/offerings/{offering}/withdraw"), as_json=as_json)
