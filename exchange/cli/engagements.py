"""Verbs about auditors' engagements, and what auditors read: the other half of `exchange audit`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    out,
    plain,
    print_document,
    print_list,
    session,
)

Auditor = Annotated[str | None, typer.Option(help="Of this auditor only (org_…)")]


def audit_engage(
    auditor: Annotated[str, typer.Argument(metavar="AUDITOR", help="org_…, with that role")],
    purpose: Annotated[str, typer.Option(help="What for, one line")],
    days: Annotated[
        int | None, typer.Option(min=1, max=366, help="How long, from now on; or --until")
    ] = None,
    until: Annotated[str | None, typer.Option(help="When it ends (RFC 3339); or --days")] = None,
    organisation: Annotated[
        list[str] | None,
        typer.Option(help="This one's affairs (org_…); again for more"),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Everybody's affairs")] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Engage an auditor, for the whole log or for some organisations, until a date (operator)."""
    if whole == bool(organisation):
        raise typer.BadParameter("give one of --whole and --organisation")
    if (days is None) == (until is None):
        raise typer.BadParameter("give one of --days and --until")
    body = {
        "auditor": auditor,
        "scope": "whole" if whole else "named",
        "organisations": organisation or [],
        "ends_at": until or in_days(days or 0),
        "purpose": purpose,
    }
    with session(profile, as_json=as_json) as me:
        made = me.post("/v1/engagements", body)
        if as_json:
            print_document(made, as_json=True)
            return
        out.print(plain(f"{made['id']}: {_covers(made)}, until {made['ends_at']}"))


def in_days(days: int) -> str:
    """Return the moment that is so many days from now (RFC 3339)."""
    return f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def audit_engagements(
    auditor: Auditor = None,
    active: Annotated[
        bool | None, typer.Option("--active/--ended", help="Only those; else all")
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List engagements, newest first: an auditor its own, the operator all."""
    wanted: dict[str, object] = {"auditor": auditor, "active": active}
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/engagements", **{k: v for k, v in wanted.items() if v is not None}),
            ("id", "auditor", "covers", "status", "until", "purpose"),
            lambda e: (
                *(e["id"], e["auditor_id"], _covers(e)),
                e["status"] if e["ended_by"] is None else f"ended by {e['ended_by']}",
                *(e["ended_at"] or e["ends_at"], e["purpose"]),
            ),
            as_json=as_json,
        )


def _covers(engagement: dict[str, object]) -> str:
    if engagement["scope"] == "whole":
        return "the whole log"
    named = engagement["organisations"]
    return ", ".join(named) if isinstance(named, list) else ""


def audit_end(
    engagement: Annotated[str, typer.Argument(metavar="ENGAGEMENT", help="eng_…")],
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """End an engagement for good: any as operator, or give up your own."""
    with session(profile, as_json=as_json) as me:
        ended = me.post(f"/v1/engagements/{engagement}/end")
        if as_json:
            print_document(ended, as_json=True)
            return
        out.print(plain(f"{ended['id']} ended by {ended['ended_by']}, {ended['ended_at']}"))


def audit_reads(
    auditor: Auditor = None,
    since: Annotated[str | None, typer.Option(help="From then on (RFC 3339)")] = None,
    until: Annotated[str | None, typer.Option(help="Before then (RFC 3339)")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List what auditors read of others' affairs, newest first: your own, or all as operator."""
    wanted = {"auditor": auditor, "since": since, "until": until}
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/log/reads", **{k: v for k, v in wanted.items() if v is not None}),
            ("at", "auditor", "client", "kind", "asked for"),
            lambda r: (
                *(r["at"], r["auditor_id"], r["client_id"], r["kind"]),
                ", ".join(f"{name} {value}" for name, value in r["filters"].items()),
            ),
            as_json=as_json,
        )


def add_to(audit: typer.Typer) -> None:
    """Put these verbs beside the others of `exchange audit`."""
    audit.command("engage")(audit_engage)
    audit.command("engagements")(audit_engagements)
    audit.command("end")(audit_end)
    audit.command("reads")(audit_reads)
