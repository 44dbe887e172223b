"""Verbs about connections to one's own stores and services. Secrets are never arguments: those
stand in the list of processes, and in the shell's history.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    REFUSED,
    AsJson,
    ProfilePath,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)

app = typer.Typer(help="A platform's own stores and services.", no_args_is_help=True)
ConnectionId = Annotated[str, typer.Argument(metavar="CONNECTION", help="con_…")]
CredentialKind = Literal["access_key", "header", "bearer", "basic", "none"]
Kind = Annotated[
    CredentialKind | None,
    typer.Option("--credential", help="What lets one in; for s3 access_key, else none"),
]
Header = Annotated[str, typer.Option(help="Of a credential of kind header: its name")]
SecretFile = Annotated[
    str,
    typer.Option(
        "--secret",
        metavar="FILE",
        help="Where the secret is, a part a line (access key, secret key; user, password; or the "
        "one value); - is standard input. Else you are asked for it",
    ),
]
Name = Annotated[str, typer.Option(help="What you call it")]
Bucket = Annotated[str, typer.Option(help="Of kind s3")]
Region = Annotated[str, typer.Option(help="Of kind s3; default us-east-1")]
PARTS: dict[str, tuple[str, ...]] = {
    "access_key": ("access_key", "secret_key"),
    "header": ("value",),
    "bearer": ("token",),
    "basic": ("user", "password"),
}


@app.command("add")
def add(
    kind: Annotated[Literal["s3", "http"], typer.Argument(help="A store, or a service")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Its address")],
    name: Name,
    bucket: Bucket = "",
    region: Region = "",
    credential: Kind = None,
    header: Header = "",
    secret: SecretFile = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register a store or service of your own, for offerings to name (platform)."""
    chosen = credential or ("access_key" if kind == "s3" else "header" if header else "none")
    document = {"kind": kind, "name": name, "url": url, "bucket": bucket, "region": region}
    document = {key: value for key, value in document.items() if value}
    given = {"credential": _credential(chosen, header, secret)}
    with session(profile, as_json=as_json) as me:
        print_document(me.post("/v1/connections", {**document, **given}), as_json=as_json)


@app.command("list")
def list_connections(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """List your organisation's connections."""
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/connections"),
            ("id", "kind", "name", "url", "credential", "since"),
            lambda c: (
                *(c["id"], c["kind"], c["name"], c["url"]),
                *((c["credential"] or {}).get("kind", "none"), c["created_at"]),
            ),
            as_json=as_json,
        )


@app.command("show")
def show(
    connection: ConnectionId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show a connection: never what lets one in."""
    with session(profile, as_json=as_json) as me:
        print_document(me.get(f"/v1/connections/{connection}"), as_json=as_json)


@app.command("edit")
def edit(
    connection: ConnectionId,
    name: Name = "",
    url: Annotated[str, typer.Option(help="Another host needs the credential too")] = "",
    bucket: Bucket = "",
    region: Region = "",
    credential: Kind = None,
    header: Header = "",
    secret: SecretFile = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Change where a connection leads; what is not given stays."""
    with session(profile, as_json=as_json) as me:
        path = f"/v1/connections/{connection}"
        held = me.get(path)
        wanted = {"name": name, "url": url, "bucket": bucket, "region": region}
        document: dict[str, Any] = {key: value or held[key] for key, value in wanted.items()}
        if credential is not None:
            document["credential"] = _credential(credential, header, secret)
        print_document(me.put(path, document), as_json=as_json)


@app.command("credential")
def replace_credential(
    connection: ConnectionId,
    credential: Kind = None,
    header: Header = "",
    secret: SecretFile = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Replace what lets one in: the new one is used from the next request on."""
    with session(profile, as_json=as_json) as me:
        path = f"/v1/connections/{connection}"
        held = me.get(path)["credential"] or {"kind": "none"}
        given = _credential(credential or held["kind"], header, secret)
        changed = me.put(f"{path}/credential", {"credential": given})
        print_document(changed, as_json=as_json)


@app.command("check")
def check(
    connection: ConnectionId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Try a connection, and say what came of it; ends with 1 where it does not work."""
    with session(profile, as_json=as_json) as me:
        found = me.post(f"/v1/connections/{connection}/check")
    if as_json:
        print_json(found)
    else:
        out.print(plain(f"{found['code']}: {found['detail']}"))
    if not found["works"]:
        raise typer.Exit(REFUSED)


@app.command("remove")
def remove(
    connection: ConnectionId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Remove a connection and its credential for good."""
    with session(profile, as_json=as_json) as me:
        me.request("DELETE", f"/v1/connections/{connection}")
    if as_json:
        print_json({"id": connection, "status": "removed"})
    else:
        out.print(plain(f"{connection} removed"))


def _credential(kind: str, header: str, secret: str) -> dict[str, str] | None:
    """Return a credential as the API takes it; raises BadParameter that repeats nothing of it."""
    if kind == "none":
        return None
    if (kind == "header") != bool(header):
        raise typer.BadParameter("a header's name is given with --header, and for no other kind")
    names = PARTS[kind]
    given = _lines(secret, names) if secret else [_asked(name) for name in names]
    document = {"kind": kind, **dict(zip(names, given, strict=True))}
    return {**document, "name": header} if header else document


def _lines(secret: str, names: tuple[str, ...]) -> list[str]:
    try:
        text = sys.stdin.read() if secret == "-" else Path(secret).read_text("utf-8")  # noqa: S105
    except OSError as error:
        raise typer.BadParameter(f"{secret} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{secret} is no text in UTF-8") from None
    lines = text.splitlines()
    if len(lines) != len(names) or not all(lines):
        raise typer.BadParameter(f"the secret has these lines: {', '.join(names)}")
    return lines


def _asked(name: str) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter("give the secret by --secret FILE, or - for standard input")
    asked: str = typer.prompt(name.replace("_", " "), hide_input=True, err=True)
    return asked
