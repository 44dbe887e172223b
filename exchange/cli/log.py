"""Verbs about the log: list it, fetch its key, checkpoint and receipts."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    NotAsPublished,
    ProfilePath,
    out,
    plain,
    print_json,
    print_list,
    session,
    visible,
)
from exchange.client.session import NotAnExchange, Session
from exchange.formats.errors import FormatError
from exchange.formats.note import Verifier
from exchange.formats.receipt import SUFFIX

app = typer.Typer(help="The audit log.", no_args_is_help=True)
ByOrganisation = Annotated[
    str | None, typer.Option("--organisation", help="Naming this one (org_…)")
]
ByOffering = Annotated[str | None, typer.Option("--offering", help="Naming this one (off_…)")]
ByGrant = Annotated[str | None, typer.Option("--grant", help="Naming this one (grt_…)")]
ByRequest = Annotated[str | None, typer.Option("--request", help="Naming this one (req_…)")]
ByKind = Annotated[str | None, typer.Option("--kind", help="Of this kind (grant.activated.v1)")]
ByReason = Annotated[str | None, typer.Option("--reason", help="With this reason's code")]
Since = Annotated[str | None, typer.Option("--since", help="From then on (RFC 3339)")]
Until = Annotated[str | None, typer.Option("--until", help="Before then (RFC 3339)")]


@app.command("list")
def log_list(
    start: Annotated[int, typer.Option(min=0, help="From this index on")] = 0,
    organisation: ByOrganisation = None,
    offering: ByOffering = None,
    grant: ByGrant = None,
    request: ByRequest = None,
    kind: ByKind = None,
    reason: ByReason = None,
    since: Since = None,
    until: Until = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first")] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List and search the log's entries: what your engagements cover, or all as operator."""
    filters = given(
        organisation=organisation,
        offering=offering,
        grant=grant,
        request=request,
        kind=kind,
        reason=reason,
        since=since,
        until=until,
        order="newest" if newest else None,
    )
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/log/entries", start=start, **filters),
            ("index", "time", "type", "subject"),
            lambda leaf: (
                *(leaf["index"], leaf["time"]),
                *(leaf["type"].removeprefix("exchange."), leaf["subject"]),
            ),
            as_json=as_json,
        )


def given(**filters: str | None) -> dict[str, str]:
    """Return the filters that were given, as the exchange takes them."""
    return {name: value for name, value in filters.items() if value is not None}


@app.command("key")
def log_key(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Print the log's verifier key, to be kept for `exchange verify`.

    Get it from somebody you trust before you need it: a server that is judged may not choose it.
    Where the profile holds one from registration, another is refused.
    """
    with session(profile, as_json=as_json) as me:
        shown, known = read_log_key(me), me.profile.log_key.strip()
        if known and shown != known:
            raise NotAsPublished(
                f"{me.profile.url} shows the log key {shown}, but at registration it was {known}. "
                "An exchange's log key never changes: ask the operator, and tell the auditor."
            )
    if as_json:
        print_json({"log_key": shown})
    else:
        typer.echo(shown)


def read_log_key(me: Session) -> str:
    """Return the log's verifier key as the exchange shows it; raises NotAnExchange."""
    try:
        return Verifier.parse(me.text("/log/key").strip()).vkey
    except FormatError as error:
        raise NotAnExchange(f"{me.profile.url} shows no log key: {error}.") from error


@app.command("checkpoint")
def log_checkpoint(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Print the newest signed checkpoint."""
    with session(profile, as_json=as_json) as me:
        note = me.text("/log/checkpoint")
    if as_json:
        print_json({"checkpoint": note})
    else:
        typer.echo(visible(note), nl=False)


@app.command("receipts")
def log_receipts(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
    event: Annotated[
        list[str] | None, typer.Option(help="These events only (evt_…); again for more")
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Fetch receipts into a folder: of all entries (auditor), or of events you are a party of."""
    kept = []
    with session(profile, as_json=as_json) as me:
        folder.mkdir(parents=True, exist_ok=True)
        wanted = event or [leaf["event_id"] for leaf in me.pages("/v1/log/entries")]
        for event_id in wanted:
            receipt = me.request("GET", f"/v1/receipts/{event_id}").text
            path = folder / f"{event_id}{SUFFIX}"
            path.write_text(receipt, "utf-8")
            kept.append({"event_id": event_id, "path": str(path)})
    if as_json:
        print_json(kept)
    else:
        out.print(plain(f"{len(kept)} receipts in {folder}"))
