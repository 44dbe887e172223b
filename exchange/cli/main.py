"""The `exchange` command: its verbs, put together."""

import typer

from exchange.cli import access, log, offerings, participants, run, serve

app = typer.Typer(
    name="exchange",
    help="A data-sharing exchange: publish, ask, decide, grant, log, deliver, verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run", rich_help_panel="Run")(run.run)
app.command("demo", rich_help_panel="Run")(run.demo)
app.command("serve", rich_help_panel="Run")(serve.serve)
app.command("init", rich_help_panel="Run")(serve.init)
app.add_typer(participants.profile_app, name="profile", rich_help_panel="Take part")
app.add_typer(participants.org_app, name="org", rich_help_panel="Take part")
app.add_typer(participants.client_app, name="client", rich_help_panel="Take part")
app.add_typer(offerings.app, name="offering", rich_help_panel="Share")
app.command("request", rich_help_panel="Share")(access.request)
app.add_typer(access.grant_app, name="grant", rich_help_panel="Share")
app.add_typer(log.app, name="log", rich_help_panel="Audit")
app.command("verify", rich_help_panel="Audit")(log.verify)

if __name__ == "__main__":
    app()
