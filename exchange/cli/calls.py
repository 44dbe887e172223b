"""The verb that calls a platform's service under a grant."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.grants import GrantId
from exchange.cli.output import DEFAULT_PROFILE, AsJson, ProfilePath, body_of, print_json, session
from exchange.cli.transfer import writing
from exchange.client import calls


def grant_call(
    grant: GrantId,
    path: Annotated[str, typer.Argument(help="Of the service, such as stats/delays")],
    method: Annotated[str, typer.Option("--method", "-X", help="GET, POST, …")] = "",
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Of the query")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="JSON to send; @FILE takes it from a file, @- from stdin")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the answer here when it is whole"),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.1, help="Longest silence in seconds; else as the offering allows"),
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Call a platform's service under a grant (SME); the answer is written as it comes."""
    if "?" in path:
        raise typer.BadParameter("A query is given by --param NAME=VALUE, once for each.")
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(f"{output.parent} is no folder, so nothing was called.")
    body = _body(data)
    options: dict[str, Any] = {
        "method": method.upper() or ("GET" if body is None else "POST"),
        "params": _pairs(param or ()),
        "content": body,
        "headers": {"Content-Type": "application/json"} if body is not None else None,
        "timeout": timeout,
    }
    with session(profile, as_json=as_json) as me:
        if as_json:
            answer = me.run(calls.call(me.core, grant, path, **options))
            print_json({"status": answer.status, "body": body_of(answer)})
            return
        if output is None:
            me.run(calls.call(me.core, grant, path, **options, on_piece=_shown))
            return
        with writing(output) as into:
            options |= {"on_head": into.begin, "on_piece": into.write}
            me.run(calls.call(me.core, grant, path, **options))


def _shown(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _body(data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "@-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise typer.BadParameter(f"{data[1:]} cannot be read: {error.strerror}.") from error
    try:
        json.loads(data)
    except ValueError as error:
        raise typer.BadParameter("That is no JSON; @FILE takes it from a file.") from error
    return data.encode()


def _pairs(given: Any) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in given]
    if any(not separator for _, separator, _ in pairs):
        raise typer.BadParameter("A parameter is written NAME=VALUE.")
    return [(name, value) for name, _, value in pairs]
