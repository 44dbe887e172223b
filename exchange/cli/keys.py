"""Verbs about the master keys, by which platforms' credentials are sealed (operator)."""

from typing import Any

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    print_json,
    print_table,
    session,
)

app = typer.Typer(help="The exchange's master keys.", no_args_is_help=True)


@app.command("show")
def show(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Show the master keys by their ids, and how many credentials each has sealed."""
    with session(profile, as_json=as_json) as me:
        _print(me.get("/v1/keys/master"), as_json=as_json)


@app.command("rotate-master")
def rotate_master(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Have a new master key seal; what older ones sealed is sealed anew within seconds."""
    with session(profile, as_json=as_json) as me:
        _print(me.post("/v1/keys/master/rotate"), as_json=as_json)


@app.command("retire-master")
def retire_master(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Drop the older master keys, unless a credential is still sealed by one.

    Copies of the database made before hold credentials that only these open: keep a copy of the
    keys with them.
    """
    with session(profile, as_json=as_json) as me:
        _print(me.post("/v1/keys/master/retire"), as_json=as_json)


def _print(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [(key["id"], _standing(key), str(key["credentials"])) for key in document["keys"]]
    print_table(("id", "", "credentials"), rows)


def _standing(key: dict[str, Any]) -> str:
    if key["seals"]:
        return "seals"
    return "older" if key["present"] else "missing"
