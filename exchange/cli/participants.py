"""Verbs about organisations."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli.log import read_log_key
from exchange.cli.offerings import read_json
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)
from exchange.client.profile import Profile, create_profile, jwks_of, new_profile, update_profile
from exchange.client.session import Session

org_app = typer.Typer(help="Organisations and their attributes.", no_args_is_help=True)

Evidence = Annotated[
    Literal["self_declared", "verified", "certified"], typer.Option(help="How well it is shown")
]
OwnOrganisation = Annotated[str, typer.Option(metavar="ORG", help="Default: your own")]
OrganisationId = Annotated[str, typer.Argument(metavar="ORG", help="org_…")]


@org_app.command("add")
def org_add(
    name_en: Annotated[str, typer.Option(help="Name in English")],
    name_zh: Annotated[str, typer.Option(help="Name in Chinese")],
    role: Annotated[
        list[str], typer.Option(help="platform, sme, auditor or operator; again for more")
    ],
    new_profile_path: Annotated[
        Path | None,
        typer.Option("--new-profile", metavar="PATH", help="Make its key too, and a profile, here"),
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option(help="Its public key, a JSON file: `exchange profile key`")
    ] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Such as CN")] = None,
    industry: Annotated[str | None, typer.Option(help="Such as software_it_services")] = None,
    headcount: Annotated[int | None, typer.Option(help="Persons")] = None,
    revenue_cny_10k: Annotated[int | None, typer.Option(help="A year, in 10,000 CNY")] = None,
    assets_cny_10k: Annotated[int | None, typer.Option(help="In 10,000 CNY")] = None,
    evidence: Evidence = "self_declared",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register an organisation and its first client, by --jwks or --new-profile (operator)."""
    attributes = {
        "jurisdiction": jurisdiction,
        "industry": industry,
        "headcount": headcount,
        "revenue_cny_10k": revenue_cny_10k,
        "assets_cny_10k": assets_cny_10k,
    }
    document = {
        "name_en": name_en,
        "name_zh": name_zh,
        "roles": role,
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "evidence": evidence,
    }
    if (new_profile_path is None) == (jwks is None):
        raise typer.BadParameter("give one of --jwks and --new-profile")
    keys = read_json(jwks) if jwks is not None else None
    with session(profile, as_json=as_json) as me:
        if new_profile_path is not None:
            made = register(me, document, new_profile_path)
            if as_json:
                ids = (made.organisation_id, made.client_id, made.log_key)
                print_json(dict(zip(("organisation", "client", "log_key"), ids, strict=True)))
                return
            out.print(plain(f"{made.organisation_id} registered; profile {new_profile_path}"))
            return
        organisation, client = _register(me, document, keys)
        log_key = read_log_key(me)
    if as_json:
        print_json({"organisation": organisation, "client": client, "log_key": log_key})
        return
    out.print(plain(f"{organisation} registered, client {client}. Its profile becomes complete by"))
    out.print(
        plain(
            f"  exchange profile set --organisation {organisation} --client {client} "
            f"--log-key '{log_key}'"
        )
    )


def register(me: Session, document: dict[str, Any], path: Path) -> Profile:
    """Register an organisation with a fresh key, and write its profile to a path that is free.

    The key stands on disk before anything is asked, so a full disk costs no registration.
    """
    fresh = new_profile(me.profile.url)
    create_profile(path, fresh)
    try:
        log_key = read_log_key(me)
        organisation, client = _register(me, document, jwks_of(fresh))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    made = replace(fresh, client_id=client, organisation_id=organisation, log_key=log_key)
    update_profile(path, made)
    return made


def _register(me: Session, document: dict[str, Any], jwks: Any) -> tuple[str, str]:
    organisation = me.post("/v1/organisations", document)["id"]
    first = {"name": "command line", "jwks": jwks}
    client = me.post(f"/v1/organisations/{organisation}/clients", first)["id"]
    return organisation, client


@org_app.command("list")
def org_list(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """List organisations: your own, those you are engaged to audit, or all as operator."""
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/organisations"),
            ("id", "name", "名称", "roles", "status"),
            lambda o: (o["id"], o["name_en"], o["name_zh"], ", ".join(o["roles"]), o["status"]),
            as_json=as_json,
        )


@org_app.command("show")
def org_show(
    organisation: OrganisationId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show an organisation with its attributes and their evidence."""
    with session(profile, as_json=as_json) as me:
        print_document(me.get(f"/v1/organisations/{organisation}"), as_json=as_json)


@org_app.command("set")
def org_set(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as headcount")],
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    organisation: OwnOrganisation = "",
    evidence: Evidence = "self_declared",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Set an attribute: declare your own, or verify another's as operator."""
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        typed: str | int = int(value) if value.isascii() and value.isdecimal() else value
        body = {"value": typed, "evidence": evidence}
        answer = me.put(f"/v1/organisations/{organisation}/attributes/{name}", body)
        print_document(answer, as_json=as_json)
