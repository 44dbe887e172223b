"""Verbs about profiles, organisations and clients."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    ProfilePath,
    out,
    print_json,
    print_table,
    session,
)
from exchange.cli.profile import ProfileProblem, jwks_of, new_profile, read_profile, write_profile

profile_app = typer.Typer(help="Your key, and who you are.", no_args_is_help=True)
org_app = typer.Typer(help="Organisations and their attributes.", no_args_is_help=True)
client_app = typer.Typer(help="Programs that act for an organisation.", no_args_is_help=True)

Evidence = Literal["self_declared", "verified", "certified"]
URL = Annotated[str, typer.Option(help="Where the exchange is")]


@profile_app.command("new")
def profile_new(path: Path, url: URL = "http://127.0.0.1:8000") -> None:
    """Make a key and print its public half, which the exchange has to know."""
    if path.exists():
        raise typer.BadParameter(f"{path} exists already; a key is never overwritten")
    profile = new_profile(url)
    write_profile(path, profile)
    out.print(f"Your private key is in {path}; keep it. Register this public key:", style="dim")
    print_json(jwks_of(profile))


@profile_app.command("key")
def profile_key(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Print the public key of a profile (a JWK Set)."""
    try:
        print_json(jwks_of(read_profile(profile)))
    except ProfileProblem as error:
        raise typer.BadParameter(str(error)) from error


@profile_app.command("token")
def profile_token(
    profile: ProfilePath = DEFAULT_PROFILE,
    scope: Annotated[str, typer.Option(help="Scopes, or grant:ID for a delivery")] = "",
) -> None:
    """Print an access token, for curl."""
    with session(profile) as me:
        typer.echo(me.token(scope))


@profile_app.command("assertion")
def profile_assertion(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Print a client assertion (RFC 7523), good once and for a minute, for curl."""
    with session(profile) as me:
        typer.echo(me.assertion())


@org_app.command("add")
def org_add(
    name_en: Annotated[str, typer.Option()],
    name_zh: Annotated[str, typer.Option()],
    role: Annotated[list[str], typer.Option(help="platform, sme, auditor; again for more")],
    new_profile_path: Annotated[
        Path, typer.Option("--new-profile", help="Make a key and a client, and write them here")
    ],
    jurisdiction: str | None = None,
    industry: str | None = None,
    headcount: int | None = None,
    revenue_cny_10k: int | None = None,
    assets_cny_10k: int | None = None,
    evidence: Evidence = "self_declared",
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Register an organisation and its first client (operator)."""
    attributes = {
        "jurisdiction": jurisdiction,
        "industry": industry,
        "headcount": headcount,
        "revenue_cny_10k": revenue_cny_10k,
        "assets_cny_10k": assets_cny_10k,
    }
    if new_profile_path.exists():
        raise typer.BadParameter(f"{new_profile_path} exists already; a key is never overwritten")
    with session(profile) as me:
        organisation = me.post(
            "/v1/organisations",
            {
                "name_en": name_en,
                "name_zh": name_zh,
                "roles": role,
                "attributes": {k: v for k, v in attributes.items() if v is not None},
                "evidence": evidence,
            },
        )
        fresh = new_profile(me.profile.url)
        client = me.post(
            f"/v1/organisations/{organisation['id']}/clients",
            {"name": "command line", "jwks": jwks_of(fresh)},
        )
        log_key = me.http.get("/log/key").text.strip()
        write_profile(
            new_profile_path,
            replace(
                fresh,
                client_id=client["id"],
                organisation_id=organisation["id"],
                log_key=log_key,
            ),
        )
    out.print(f"{organisation['id']} registered; its profile is {new_profile_path}")


@org_app.command("list")
def org_list(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """List organisations: all for operators and auditors, your own otherwise."""
    with session(profile) as me:
        rows = [
            (o["id"], o["name_en"], o["name_zh"], ", ".join(o["roles"]), o["status"])
            for o in me.pages("/v1/organisations")
        ]
    print_table(("id", "name", "名称", "roles", "status"), rows)


@org_app.command("show")
def org_show(organisation: str, profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Show an organisation with its attributes and their evidence."""
    with session(profile) as me:
        print_json(me.get(f"/v1/organisations/{organisation}"))


@org_app.command("set")
def org_set(
    name: str,
    value: str,
    organisation: Annotated[str, typer.Option(help="Another's (operator); default: your own")] = "",
    evidence: Evidence = "self_declared",
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Set an attribute: declare your own, or verify another's as operator."""
    with session(profile) as me:
        organisation = organisation or me.profile.organisation_id
        typed: str | int = int(value) if value.isdecimal() else value
        body = {"value": typed, "evidence": evidence}
        print_json(me.put(f"/v1/organisations/{organisation}/attributes/{name}", body))


@client_app.command("add")
def client_add(
    name: str,
    jwks: Annotated[Path, typer.Option(help="Public JWK Set, a JSON file")],
    organisation: Annotated[str, typer.Option(help="Default: your own")] = "",
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Register a client by its public keys."""
    try:
        keys = json.loads(jwks.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{jwks} is no JSON file") from error
    with session(profile) as me:
        organisation = organisation or me.profile.organisation_id
        print_json(
            me.post(f"/v1/organisations/{organisation}/clients", {"name": name, "jwks": keys})
        )


@client_app.command("list")
def client_list(
    organisation: Annotated[str, typer.Option(help="Default: your own")] = "",
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """List an organisation's clients."""
    with session(profile) as me:
        organisation = organisation or me.profile.organisation_id
        rows = [
            (c["id"], c["name"], c["status"], c["created_at"])
            for c in me.pages(f"/v1/organisations/{organisation}/clients")
        ]
    print_table(("id", "name", "status", "since"), rows)


@client_app.command("disable")
def client_disable(client: str, profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Disable a client for good."""
    with session(profile) as me:
        print_json(me.post(f"/v1/clients/{client}/disable"))
