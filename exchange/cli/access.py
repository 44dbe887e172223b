"""Verbs about requests, grants and deliveries."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    Lang,
    ProfilePath,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    print_said,
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
    as_json: AsJson = False,
) -> None:
    """Ask for access to an offering, for a purpose (SME). A refusal has a receipt too."""
    body = {
        "offering_id": offering,
        "purpose": purpose,
        "actions": action or ["read"],
        "days": days,
    }
    with session(profile, lang, as_json=as_json) as me:
        try:
            answer = me.post("/v1/access-requests", body)
        except Refusal as refusal:
            keep_receipt(receipt, refusal.document.get("access_request"))
            raise
        keep_receipt(receipt, answer)
    if as_json:
        print_json(answer)
        return
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
def grant_list(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """List grants that you hold or gave, newest first."""
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages("/v1/grants"),
            ("id", "offering", "purpose", "status", "ends"),
            lambda g: (g["id"], g["offering_id"], g["purpose"], g["status"], g["ends_at"]),
            as_json=as_json,
        )


@grant_app.command("show")
def grant_show(
    grant: GrantId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Show a grant."""
    with session(profile, as_json=as_json) as me:
        print_document(me.get(f"/v1/grants/{grant}"), as_json=as_json)


@grant_app.command("requests")
def grant_requests(
    profile: ProfilePath = DEFAULT_PROFILE, lang: Lang = "en", as_json: AsJson = False
) -> None:
    """List requests, with why they were refused."""
    with session(profile, lang, as_json=as_json) as me:
        print_list(
            me.pages("/v1/access-requests"),
            ("id", "purpose", "status", "why"),
            lambda r: (
                *(r["id"], r["purpose"], r["status"]),
                "; ".join(s["text"] for s in r["reasons"]),
            ),
            as_json=as_json,
        )


@grant_app.command("revoke")
def grant_revoke(
    grant: GrantId,
    reason: Annotated[
        Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"],
        typer.Option(help="Stands in the log"),
    ] = "other",
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Revoke a grant for good (its platform, or the operator)."""
    with session(profile, as_json=as_json) as me:
        answer = me.post(f"/v1/grants/{grant}/revoke", {"reason": reason})
        keep_receipt(receipt, answer)
    print_document(answer["grant"], as_json=as_json)


@grant_app.command("download")
def grant_download(
    grant: GrantId,
    folder: Annotated[Path, typer.Option(help="Where the files go")] = Path(),
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Download what a grant allows; a file appears when its checksum is right."""
    with session(profile, as_json=as_json) as me:
        done = download(me, grant, folder)
    if as_json:
        print_json([item | {"path": str(path)} for path, item in done])
        return
    for path, item in done:
        out.print(plain(f"{path}: {item['bytes']:,} bytes, sha256 {item['sha256']} ✓"))
