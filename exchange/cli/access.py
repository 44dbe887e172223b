"""Verbs about access, put together: try, explain, ask, follow a request, use a grant."""

import typer

from exchange.cli import calls, grants, requests, trying, usage

PANEL = "Share"


def add_to(app: typer.Typer) -> None:
    """Give a command the verbs of requests and grants."""
    app.command("try", rich_help_panel=PANEL)(trying.try_out)
    app.command("explain", rich_help_panel=PANEL)(requests.explain)
    app.command("request", rich_help_panel=PANEL)(requests.request)
    app.add_typer(requests.app, name="requests", rich_help_panel=PANEL)
    grants.app.command("call")(calls.grant_call)
    grants.app.command("usage")(usage.grant_usage)
    app.add_typer(grants.app, name="grant", rich_help_panel=PANEL)
    app.command("usage", rich_help_panel=PANEL)(usage.usage)
