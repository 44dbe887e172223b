"""An offering's form, filled in on the command line."""

from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.offerings import read_json
from exchange.client.session import Session

Form = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A field of the offering's form; again for more"),
]
FormFile = Annotated[Path | None, typer.Option(help="The form filled in, a JSON file")]


def form_of(
    me: Session, offering: str, form: list[str] | None, file: Path | None
) -> dict[str, Any]:
    """Return the member `form` of what is sent about an offering; nothing where none is given."""
    if not form and file is None:
        return {}
    return {"form": filled_in(form, file, me.get(f"/v1/offerings/{offering}")["form"])}


def filled_in(
    form: list[str] | None, file: Path | None, fields: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return a form from NAME=VALUE pairs and a file, numbers and yes-or-no by the field's kind."""
    given: dict[str, Any] = dict(read_json(file)) if file is not None else {}
    kinds = {field["name"]: field["kind"] for field in fields}
    for pair in form or []:
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair} is not NAME=VALUE", param_hint="--form")
        value: Any = text
        if kinds.get(name) == "number" and text.removeprefix("-").isdecimal():
            value = int(text)
        elif kinds.get(name) == "boolean" and text in ("true", "false"):
            value = text == "true"
        given[name] = value
    return given
