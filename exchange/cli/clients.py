"""Verbs about clients: programs that act for an organisation, or for one of its people."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli.offerings import read_json
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    in_words,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)
from exchange.client.rotation import rotate_key

app = typer.Typer(help="Programs that act for an organisation.", no_args_is_help=True)

OwnOrganisation = Annotated[str, typer.Option(metavar="ORG", help="Default: your own")]
ClientId = Annotated[str, typer.Argument(metavar="CLIENT", help="cli_…")]
Status = Literal["pending", "active", "rejected", "disabled"]
Bound = Annotated[
    bool | None,
    typer.Option("--bound/--bearer", help="Tokens need a proof of its key, or whoever holds them"),
]


@app.command("add")
def client_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as 'nightly import'")],
    jwks: Annotated[Path | None, typer.Option(help="Public JWK Set, a JSON file")] = None,
    secret: Annotated[
        Literal["basic", "post"] | None,
        typer.Option(help="Operator: a secret instead of keys, sent so; it is printed once"),
    ] = None,
    jwt_bearer: Annotated[
        bool,
        typer.Option(
            "--jwt-bearer",
            help="Operator: its JWT is the whole token request (RFC 7523 section 2.1), with --jwks",
        ),
    ] = False,
    bound: Bound = None,
    organisation: OwnOrganisation = "",
    program: Annotated[
        bool, typer.Option("--program", help="Owners: the organisation's own, not yours")
    ] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register a client by its public keys."""
    if (jwks is None) == (secret is None):
        raise typer.BadParameter("give one of --jwks and --secret")
    if jwt_bearer and jwks is None:
        raise typer.BadParameter("--jwt-bearer goes with --jwks: it signs with a key")
    body: dict[str, Any] = {"name": name, "program": program}
    if jwks is not None:
        body["jwks"] = read_json(jwks)
    if secret is not None:
        body["token_endpoint_auth_method"] = f"client_secret_{secret}"
    if jwt_bearer:
        body |= {"token_endpoint_auth_method": "jwt_bearer"}
    if bound is not None:
        body["dpop_bound_access_tokens"] = bound
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        answer = me.post(f"/v1/organisations/{organisation}/clients", body)
        print_document(answer, as_json=as_json)


@app.command("list")
def client_list(
    organisation: OwnOrganisation = "",
    status: Annotated[
        Status | None, typer.Option(help="Only these, of every organisation that you may see")
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List an organisation's clients, or those of one status, such as what waits for approval."""
    if organisation and status:
        raise typer.BadParameter("give one of --organisation and --status")
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        of_one = f"/v1/organisations/{organisation}/clients"
        print_list(
            me.pages("/v1/clients", status=status) if status else me.pages(of_one),
            ("id", "organisation", "name", "by", "status", "since"),
            lambda c: (
                *(c["id"], c["organisation_id"], c["name"]),
                *(c["token_endpoint_auth_method"], c["status"], c["created_at"]),
            ),
            as_json=as_json,
        )


@app.command("show")
def client_show(
    client: ClientId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show a client with its public keys."""
    with session(profile, as_json=as_json) as me:
        print_document(me.get(f"/v1/clients/{client}"), as_json=as_json)


@app.command("approve")
def client_approve(
    client: ClientId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Approve a client that registered by an invitation (operator): it gets tokens from now on."""
    _post(profile, f"/v1/clients/{client}/approve", as_json=as_json)


@app.command("reject")
def client_reject(
    client: ClientId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Reject a client that waits for approval, for good (operator)."""
    _post(profile, f"/v1/clients/{client}/reject", as_json=as_json)


@app.command("disable")
def client_disable(
    client: ClientId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Disable a client for good."""
    _post(profile, f"/v1/clients/{client}/disable", as_json=as_json)


def _post(profile: Path, path: str, *, as_json: bool) -> None:
    with session(profile, as_json=as_json) as me:
        print_document(me.post(path), as_json=as_json)


@app.command("add-key")
def client_add_key(
    client: ClientId,
    jwks: Annotated[Path, typer.Option(help="Public JWK Set of one key: `exchange profile key`")],
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Add a public key beside those that a client has; both are good then."""
    document = read_json(jwks)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) != 1:
        raise typer.BadParameter('a JWK Set of one key: {"keys": [...]}', param_hint="--jwks")
    with session(profile, as_json=as_json) as me:
        answer = me.post(f"/v1/clients/{client}/keys", {"jwk": keys[0]})
        print_document(answer, as_json=as_json)


@app.command("remove-key")
def client_remove_key(
    client: ClientId,
    thumbprint: Annotated[str, typer.Argument(metavar="THUMBPRINT", help="As `client show` says")],
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Remove a key, never the last: what it signs is refused at once."""
    with session(profile, as_json=as_json) as me:
        answer = me.request("DELETE", f"/v1/clients/{client}/keys/{thumbprint}").json()
        print_document(answer, as_json=as_json)


@app.command("rotate-key")
def client_rotate_key(
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Leave the old key good, for copies of this profile")
    ] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Give your own client a new key: added, tried, written to the profile; the old one removed."""
    with in_words(as_json=as_json):
        old, new = rotate_key(profile, keep_old=keep_old)
    if as_json:
        print_json({"profile": str(profile), "old": old, "new": new, "old_removed": not keep_old})
        return
    fate = "still good" if keep_old else "removed"
    out.print(plain(f"{profile} has the key {new}; {old} is {fate}"))


@app.command("secret")
def client_secret(
    client: ClientId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Replace a client's secret (owner, or operator), and print it: it is shown this once."""
    with session(profile, as_json=as_json) as me:
        answer = me.post(f"/v1/clients/{client}/secret")
    if as_json:
        print_json(answer)
        return
    typer.echo(f"The old secret of {client} is refused from now on. This is shown once:", err=True)
    typer.echo(answer["client_secret"])
