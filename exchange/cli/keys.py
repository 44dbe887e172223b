"""Verbs about the exchange's keys (operator): the master keys, by which platforms' credentials are
sealed, and those that sign access tokens."""

from typing import Annotated, Any

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    print_json,
    print_table,
    session,
)

app = typer.Typer(
    help="The exchange's keys: master keys, and those of tokens.", no_args_is_help=True
)


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


@app.command("tokens")
def tokens(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Show the keys that sign access tokens."""
    with session(profile, as_json=as_json) as me:
        _print_tokens(me.get("/v1/keys/token"), as_json=as_json)


@app.command("rotate-token")
def rotate_token(
    profile: ProfilePath = DEFAULT_PROFILE,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Within seconds, as after a theft")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have a new key sign access tokens, in five minutes: by then whoever verifies knows it."""
    with session(profile, as_json=as_json) as me:
        _print_tokens(me.post("/v1/keys/token/rotate", {"at_once": at_once}), as_json=as_json)


@app.command("retire-token")
def retire_token(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Forget the older keys of tokens: what they signed is refused from now on."""
    with session(profile, as_json=as_json) as me:
        _print_tokens(me.post("/v1/keys/token/retire"), as_json=as_json)


def _print_tokens(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (key["id"], "signs" if key["signs"] else "", key["signs_from"] or "")
        for key in document["keys"]
    ]
    print_table(("id", "", "from"), rows)


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
