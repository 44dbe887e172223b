"""The verb that uploads a file by itself; `offering publish --file` does it too."""

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.output import DEFAULT_PROFILE, AsJson, ProfilePath, print_document, session
from exchange.cli.transfer import upload


def upload_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to upload")],
    name: Annotated[
        str, typer.Option(help="Path or key for offerings to name; default: the file's name")
    ] = "",
    connection: Annotated[
        str, typer.Option(metavar="CONNECTION", help="con_… of your S3 store; default: kept here")
    ] = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Upload a file for offerings (platform); once more after a cut, it goes on from there."""
    with session(profile, as_json=as_json) as me:
        stored = upload(me, file, name or file.name, connection or None)
        print_document(stored, as_json=as_json)
