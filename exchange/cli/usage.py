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
    plain,
    print_json,
    print_table,
    session,
)

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


def print_days(days: Sequence[dict[str, Any]], by: str, indent: str = "") -> None:
    """Print sums of use, a line a day and whatever they are summed up by."""
    most = max((day["uses"] for day in days), default=0)
    key = () if by == "all" else (by,)
    rows = [
        (
            *(d["day"], *([d["key"]] if key else []), d["uses"], bar(d["uses"], most)),
            *(f"{d['sent_bytes']:,}", d["ended_unknown"] or ""),
        )
        for d in days
    ]
    print_table(("day", *key, "uses", "", "bytes", "unknown ends"), rows, indent)


def print_usage(found: dict[str, Any], indent: str = "") -> None:
    """Print what was used of a grant, and what is left."""
    last, sent = found["last_use_at"] or "never", f"{found['sent_bytes']:,} bytes"
    told = f"{found['grant_id']}: {found['uses']} uses, {sent}, last {last}"
    out.print(plain(indent + told))
    for number, words in ((found["running"], "running"), (found["ended_unknown"], "lost")):
        if number:
            out.print(plain(f"  {number} {words}"))
    print_allowances(found)


def print_allowances(found: dict[str, Any]) -> None:
    """Print what is left of what a grant is held to, where it is."""
    if found["allowances"]:
        print_table(("limit", "used", "of", "left", "begins anew"), _allowances(found), "  ")


def bar(value: int, most: int) -> str:
    """Draw a share of the most as a bar of at most _WIDTH letters."""
    eighths = round(value / most * _WIDTH * 8) if most else 0
    whole, part = divmod(eighths, 8)
    return (_FULL * whole + (_PARTS[part] if part else "")) or ("▏" if value else "")


def _allowances(found: dict[str, Any]) -> list[tuple[object, ...]]:
    def begins_anew(name: str, at: str | None) -> str:
        return at or ("as uses end" if name == "concurrent" else "with a renewal")

    return [
        (
            *(a["obligation"], f"{a['used']:,}", f"{a['ceiling']:,}", f"{a['left']:,}"),
            begins_anew(a["obligation"], a["resets_at"]),
        )
        for a in found["allowances"]
    ]
