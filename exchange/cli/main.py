"""The `exchange` command: its verbs, put together."""

import typer

from exchange.cli import serve

app = typer.Typer(
    name="exchange",
    help="A data-sharing exchange: publish, ask, decide, grant, log, deliver, verify.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("init")(serve.init)

if __name__ == "__main__":
    app()
