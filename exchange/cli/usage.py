"""Verbs about what was used of grants."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from exchange.cli.grants import GrantId
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    out,
    print_json,
    print_table,
    session,
)
from exchange.cli.words import ENGLISH, Words

Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="A day of UTC+8")]
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"
_WIDTH = 20


def usage(
    since: Day = None,
    until: Day = None,
    by: Annotated[
        Literal["all", "offering", "grant", "consumer"], typer.Option(help="Sum up by what")
    ] = "all",
    offering: Annotated[str | None, typer.Option(help="Only of this offering")] = None,
    grant: Annotated[str | None, typer.Option(help="Only of this grant")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Sum up by day what was used of grants that you hold or gave (thirty days unless said)."""
    asked = {
        "since": since,
        "until": until,
        "by": by,
        "offering_id": offering,
        "grant_id": grant,
        "limit": 50,
    }
    with session(profile, as_json=as_json) as me:
        days = list(me.pages("/v1/usage", **{k: v for k, v in asked.items() if v is not None}))
    if as_json:
        print_json(days)
    else:
        print_days(days, by)


def grant_usage(
    grant: GrantId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show what was used of a grant, and what is left of it."""
    with session(profile, as_json=as_json) as me:
        found = me.get(f"/v1/grants/{grant}/usage")
    if as_json:
        print_json(found)
        return
    print_usage(found)


def print_days(
    days: Sequence[dict[str, Any]], by: str, indent: str = "", say: Words = ENGLISH
) -> None:
    """Print sums of use, a line a day and whatever they are summed up by."""
    most = max((day["uses"] for day in days), default=0)
    named = {"offering": say("offering"), "grant": say("grant"), "consumer": say("consumer")}
    key = [named[by]] if by != "all" else []
    rows = [
        (
            *(d["day"], *([d["key"]] if key else []), d["uses"], bar(d["uses"], most)),
            *(f"{d['sent_bytes']:,}", d["authorised"] or "", d["ended_unknown"] or ""),
        )
        for d in days
    ]
    columns = (
        say("day"),
        *key,
        say("uses"),
        "",
        say("bytes"),
        say("by the store"),
        say("unknown ends"),
    )
    print_table(columns, rows, indent)


def print_usage(found: dict[str, Any], indent: str = "", say: Words = ENGLISH) -> None:
    """Print what was used of a grant, and what is left."""
    told = say(
        "%(grant)s: %(uses)s uses, %(bytes)s bytes, last %(last)s",
        grant=found["grant_id"],
        uses=found["uses"],
        bytes=f"{found['sent_bytes']:,}",
        last=found["last_use_at"] or say("never"),
    )
    out.print(indent + told)
    if found["running"]:
        say.line("%(count)s running", count=found["running"])
    if found["authorised"]:
        say.line("%(count)s delivered by the platform's store", count=found["authorised"])
    if found["ended_unknown"]:
        say.line("%(count)s lost", count=found["ended_unknown"])
    print_allowances(found, say)


def print_allowances(found: dict[str, Any], say: Words = ENGLISH) -> None:
    """Print what is left of what a grant is held to, where it is."""
    if found["allowances"]:
        columns = (say("limit"), say("used"), say("of"), say("left"), say("begins anew"))
        print_table(columns, _allowances(found, say), "  ")


def bar(value: int, most: int) -> str:
    """Draw a share of the most as a bar of at most _WIDTH letters."""
    eighths = round(value / most * _WIDTH * 8) if most else 0
    whole, part = divmod(eighths, 8)
    return (_FULL * whole + (_PARTS[part] if part else "")) or ("▏" if value else "")


def _allowances(found: dict[str, Any], say: Words) -> list[tuple[object, ...]]:
    def begins_anew(name: str, at: str | None) -> str:
        return at or (say("as uses end") if name == "concurrent" else say("with a renewal"))

    return [
        (
            *(a["obligation"], f"{a['used']:,}", f"{a['ceiling']:,}", f"{a['left']:,}"),
            begins_anew(a["obligation"], a["resets_at"]),
        )
        for a in found["allowances"]
    ]
