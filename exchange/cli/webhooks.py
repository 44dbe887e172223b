"""Verbs about webhooks."""

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

app = typer.Typer(help="Addresses that the log's entries are posted to.", no_args_is_help=True)
WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK", help="whk_…")]


@app.command("add")
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="An address that the operator allows")],
    kind: Annotated[
        list[str] | None, typer.Option(help="Only types that begin so: grant.; again for more")
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Have what concerns your organisation posted to an address."""
    with session(profile, as_json=as_json) as me:
        answer = me.post("/v1/webhooks", {"url": url, "kinds": kind or []})
    print_document(answer, as_json=as_json)


@app.command("list")
def list_webhooks(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """List your organisation's webhooks."""
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/webhooks"),
            ("id", "status", "next", "behind", "error", "url"),
            lambda w: (
                *(w["id"], w["status"], w["next_index"], w["behind"]),
                *(w["last_error"] or "", w["url"]),
            ),
            as_json=as_json,
        )


@app.command("show")
def show(
    webhook: WebhookId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show a webhook and how its delivery stands."""
    with session(profile, as_json=as_json) as me:
        print_document(me.get(f"/v1/webhooks/{webhook}"), as_json=as_json)


@app.command("redeliver")
def redeliver(
    webhook: WebhookId,
    from_index: Annotated[int, typer.Option("--from", min=0, help="Index of the first entry")],
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Post every entry from an index on once more."""
    _change(profile, webhook, "redeliver", {"from_index": from_index}, as_json=as_json)


@app.command("pause")
def pause(
    webhook: WebhookId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Post nothing until it is resumed."""
    _change(profile, webhook, "pause", as_json=as_json)


@app.command("resume")
def resume(
    webhook: WebhookId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Go on where posting stopped."""
    _change(profile, webhook, "resume", as_json=as_json)


@app.command("remove")
def remove(
    webhook: WebhookId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Remove a webhook for good."""
    with session(profile, as_json=as_json) as me:
        me.request("DELETE", f"/v1/webhooks/{webhook}")
    if as_json:
        print_json({"id": webhook, "status": "removed"})
    else:
        out.print(plain(f"{webhook} removed"))


def _change(
    profile: Path, webhook: str, verb: str, body: dict[str, Any] | None = None, *, as_json: bool
) -> None:
    with session(profile, as_json=as_json) as me:
        answer = me.post(f"/v1/webhooks/{webhook}/{verb}", body)
    print_document(answer, as_json=as_json)
