"""Verbs about requests, grants and deliveries."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    Lang,
    ProfilePath,
    out,
    plain,
    print_json,
    print_said,
    print_table,
    session,
)
from exchange.cli.transfer import download
from exchange.client.session import Refusal

grant_app = typer.Typer(help="Grants: list, download under, revoke.", no_args_is_help=True)
Receipt = Annotated[Path | None, typer.Option(help="Write the receipt (.tlog-proof) here")]
GrantId = Annotated[str, typer.Argument(metavar="GRANT", help="grt_…")]


def request(
    offering: Annotated[str, typer.Argument(metavar="OFFERING", help="off_…")],
    purpose: Annotated[str, typer.Option(help="Such as logistics_planning")],
    days: Annotated[int, typer.Option(min=1, help="How long you need it")] = 30,
    action: Annotated[
        list[str] | None, typer.Option(help="read or call; again for both; default: read")
    ] = None,
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
) -> None:
    """Ask for access to an offering, for a purpose (SME). A refusal has a receipt too."""
    body = {
        "offering_id": offering,
        "purpose": purpose,
        "actions": action or ["read"],
        "days": days,
    }
    with session(profile, lang) as me:
        try:
            answer = me.post("/v1/access-requests", body)
        except Refusal as refusal:
            keep_receipt(receipt, refusal.document.get("access_request"))
            raise
        keep_receipt(receipt, answer)
    if answer["grant"] is None:
        out.print(plain(f"{answer['id']} waits for an approval"))
        print_said(out, answer)
        return
    grant = answer["grant"]
    out.print(plain(f"{grant['id']} granted until {grant['ends_at']}"))


def keep_receipt(path: Path | None, answer: dict[str, Any] | None) -> None:
    """Write the receipt that came with an answer, where one is wanted and one came."""
    if path is not None and answer and answer.get("receipt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(answer["receipt"], "utf-8")


@grant_app.command("list")
def grant_list(profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """List grants that you hold or gave, newest first."""
    with session(profile) as me:
        rows = [
            (g["id"], g["offering_id"], g["purpose"], g["status"], g["ends_at"])
            for g in me.pages("/v1/grants")
        ]
    print_table(("id", "offering", "purpose", "status", "ends"), rows)


@grant_app.command("show")
def grant_show(grant: GrantId, profile: ProfilePath = DEFAULT_PROFILE) -> None:
    """Show a grant."""
    with session(profile) as me:
        print_json(me.get(f"/v1/grants/{grant}"))


@grant_app.command("requests")
def grant_requests(profile: ProfilePath = DEFAULT_PROFILE, lang: Lang = "en") -> None:
    """List requests, with why they were refused."""
    with session(profile, lang) as me:
        rows = [
            (r["id"], r["purpose"], r["status"], "; ".join(s["text"] for s in r["reasons"]))
            for r in me.pages("/v1/access-requests")
        ]
    print_table(("id", "purpose", "status", "why"), rows)


@grant_app.command("revoke")
def grant_revoke(
    grant: GrantId,
    reason: Annotated[
        Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"],
        typer.Option(help="Stands in the log"),
    ] = "other",
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Revoke a grant for good (its platform, or the operator)."""
    with session(profile) as me:
        answer = me.post(f"/v1/grants/{grant}/revoke", {"reason": reason})
        keep_receipt(receipt, answer)
    print_json(answer["grant"])


@grant_app.command("download")
def grant_download(
    grant: GrantId,
    folder: Annotated[Path, typer.Option(help="Where the files go")] = Path(),
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Download what a grant allows; a file appears when its checksum is right."""
    with session(profile) as me:
        done = download(me, grant, folder)
    for path, item in done:
        out.print(plain(f"{path}: {item['bytes']:,} bytes, sha256 {item['sha256']} ✓"))
