"""Verbs about profiles: your key, and who you are."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    in_words,
    out,
    plain,
    print_json,
    session,
)
from exchange.client.core import ASSERTION
from exchange.client.profile import (
    create_profile,
    jwks_of,
    new_profile,
    read_profile,
    update_profile,
)
from exchange.client.session import Session

app = typer.Typer(help="Your key, and who you are.", no_args_is_help=True)


@app.command("new")
def profile_new(
    path: Annotated[Path, typer.Argument(metavar="PATH")],
    url: Annotated[str, typer.Option(help="Where the exchange is")] = "http://127.0.0.1:8000",
    as_json: AsJson = False,
) -> None:
    """Make a key, and print its public half for the operator to register."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("a URL begins with http:// or https://", param_hint="--url")
    profile = new_profile(url)
    with in_words(as_json=as_json):
        create_profile(path, profile)
    typer.echo(
        f"Your private key is in {path}; keep it. Give this public key to the exchange's operator, "
        f"who answers with ids; then: exchange profile set -p {path} --organisation … --client …",
        err=True,
    )
    print_json(jwks_of(profile))


@app.command("set")
def profile_set(
    organisation: Annotated[str, typer.Option(metavar="ORG", help="org_…")],
    client: Annotated[str, typer.Option(metavar="CLIENT", help="cli_…")],
    log_key: Annotated[
        str, typer.Option(help="The log's verifier key, got from somebody you trust")
    ] = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Write down what the operator answered, once the exchange takes it."""
    with in_words(as_json=as_json):
        known = read_profile(profile)
    joined = replace(
        known, client_id=client, organisation_id=organisation, log_key=log_key or known.log_key
    )
    with in_words(as_json=as_json):
        me = Session(joined)
        try:
            me.sign_in()
        finally:
            me.close()
        update_profile(profile, joined)
    if as_json:
        who = {"organisation_id": organisation, "client_id": client, "url": joined.url}
        print_json({"profile": str(profile), **who})
    else:
        out.print(plain(f"{profile} acts for {organisation} at {joined.url}"))


@app.command("key")
def profile_key(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Print the public key of a profile (a JWK Set, which is JSON either way)."""
    with in_words(as_json=as_json):
        print_json(jwks_of(read_profile(profile)))


@app.command("token")
def profile_token(
    profile: ProfilePath = DEFAULT_PROFILE,
    scope: Annotated[str, typer.Option(help="Scopes, or grant:ID for a delivery")] = "",
    as_json: AsJson = False,
) -> None:
    """Print a bearer token, for curl: of a client that may have such."""
    with session(profile, as_json=as_json) as me:
        token = me.token(scope)
    if as_json:
        print_json({"access_token": token})
    else:
        typer.echo(token)


@app.command("headers")
def profile_headers(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="Such as GET")],
    url: Annotated[str, typer.Argument(metavar="URL")],
    profile: ProfilePath = DEFAULT_PROFILE,
    scope: Annotated[str, typer.Option(help="Scopes; a grant's URL says which grant")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the headers of one request, for curl -H @FILE: a token and the proof that goes with it.

    They are good once, within minutes. Of the token endpoint it is the proof alone.
    """
    with session(profile, as_json=as_json) as me:
        headers = me.headers(method.upper(), url, scope)
    if as_json:
        print_json(headers)
    else:
        typer.echo("\n".join(f"{name}: {value}" for name, value in headers.items()))


@app.command("assertion")
def profile_assertion(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Print a client assertion (RFC 7523), good once and for a minute, for curl."""
    with session(profile, as_json=as_json) as me:
        signed = me.assertion()
    if as_json:
        print_json({"client_assertion_type": ASSERTION, "client_assertion": signed})
    else:
        typer.echo(signed)
