"""The `exchange` command: its verbs, put together."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from exchange import __version__
from exchange.cli import (
    access,
    audit,
    client_invitations,
    clients,
    connections,
    engagements,
    holds,
    keys,
    log,
    members,
    offerings,
    participants,
    previews,
    profiles,
    run,
    serve,
    uploads,
    verify,
    webhooks,
)

ORDER = [
    *("run", "demo", "serve", "init", "keys"),
    *("profile", "whoami", "org", "client", "member"),
    *("upload", "offering", "connection", "try", "explain", "request", "requests"),
    *("grant", "usage", "hold"),
    *("log", "webhook", "audit", "verify"),
]


class InOrder(TyperGroup):
    """Lists the verbs in the order in which a newcomer meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the verbs' names."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    name="exchange",
    cls=InOrder,
    help="A data-sharing exchange: publish, ask, decide, grant, log, deliver, verify.",
    epilog="Exit codes: 0 done, 1 refused, 2 could not be tried. With --json a verb prints one "
    "JSON document and nothing else: a list is an array, a refusal its problem (RFC 9457), what "
    "could not be tried an error with its detail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exchange {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which it is")
    ] = False,
) -> None:
    """Take options that stand before a verb."""


app.command("run", rich_help_panel="Run")(run.run)
app.command("demo", rich_help_panel="Run")(run.demo)
app.command("serve", rich_help_panel="Run")(serve.serve)
app.command("init", rich_help_panel="Run")(serve.init)
app.add_typer(keys.app, name="keys", rich_help_panel="Run")
client_invitations.add_to(clients.app)
app.add_typer(profiles.app, name="profile", rich_help_panel="Take part")
app.add_typer(participants.org_app, name="org", rich_help_panel="Take part")
app.add_typer(clients.app, name="client", rich_help_panel="Take part")
app.add_typer(members.app, name="member", rich_help_panel="Take part")
app.command("whoami", rich_help_panel="Take part")(members.whoami)
for verb in (previews.schema, previews.sample, previews.dcat):
    offerings.app.command(verb.__name__)(verb)
app.command("upload", rich_help_panel="Share")(uploads.upload_file)
app.add_typer(offerings.app, name="offering", rich_help_panel="Share")
app.add_typer(connections.app, name="connection", rich_help_panel="Share")
access.add_to(app)
app.add_typer(holds.app, name="hold", rich_help_panel="Share")
app.add_typer(log.app, name="log", rich_help_panel="Audit")
app.add_typer(webhooks.app, name="webhook", rich_help_panel="Audit")
engagements.add_to(audit.app)
app.add_typer(audit.app, name="audit", rich_help_panel="Audit")
app.command("verify", rich_help_panel="Audit")(verify.verify)

if __name__ == "__main__":
    app()
