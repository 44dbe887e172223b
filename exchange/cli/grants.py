"""Verbs about grants and deliveries."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from exchange.cli import why
from exchange.cli.forms import Form, FormFile, form_of
from exchange.cli.output import (
    DEFAULT_PROFILE,
    REFUSED,
    AsJson,
    Lang,
    ProfilePath,
    err,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    print_said,
    session,
)
from exchange.cli.transfer import download

app = typer.Typer(help="Grants: list, download under, renew, revoke.", no_args_is_help=True)
Receipt = Annotated[Path | None, typer.Option(help="Write the receipt (.tlog-proof) here")]
GrantId = Annotated[str, typer.Argument(metavar="GRANT", help="grt_…")]


def keep_receipt(path: Path | None, answer: dict[str, Any] | None) -> None:
    """Write the receipt that came with an answer, where one is wanted and one came."""
    if path is not None and answer and answer.get("receipt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(answer["receipt"], "utf-8")


@app.command("list")
def grant_list(
    status: Annotated[str | None, typer.Option(help="active, suspended, revoked or ended")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List grants that you hold or gave, newest first, with why one does not go on."""
    with session(profile, lang, as_json=as_json) as me:
        print_list(
            me.pages("/v1/grants", status=status),
            ("id", "offering", "purpose", "status", "ends", "client", "why"),
            lambda g: (
                *(g["id"], g["offering_id"], g["purpose"], g["status"], g["ends_at"]),
                g["client_id"],
                "; ".join(why.stopped(g)),
            ),
            as_json=as_json,
        )


@app.command("show")
def grant_show(
    grant: GrantId,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Show a grant; of one that was suspended or revoked: by whom, since when and why."""
    with session(profile, lang, as_json=as_json) as me:
        print_grant(me.get(f"/v1/grants/{grant}"), as_json=as_json)


def print_grant(grant: dict[str, Any], *, as_json: bool) -> None:
    """Print a grant; for people in words."""
    told = {
        "holds": [why.suspended(hold) for hold in grant["holds"]],
        "revocation": why.revoked(grant),
    }
    print_document(grant if as_json else {**grant, **told}, as_json=as_json)


@app.command("renew")
def grant_renew(
    grant: GrantId,
    days: Annotated[int, typer.Option(min=1, help="From now on")],
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="You accept the terms as they are now")
    ] = False,
    form: Form = None,
    form_file: FormFile = None,
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Ask for a later end of a grant, before it ends (SME)."""
    body: dict[str, Any] = {"days": days}
    with session(profile, lang, as_json=as_json) as me:
        if accept_terms or form or form_file:
            offering = me.get(f"/v1/grants/{grant}")["offering_id"]
            body |= form_of(me, offering, form, form_file)
        if accept_terms:
            digest = me.get(f"/v1/offerings/{offering}")["terms_digest"]
            body |= {"accepted_terms": digest} if digest else {}
        answer = me.post(f"/v1/grants/{grant}/renew", body)
        keep_receipt(receipt, answer)
    if as_json:
        print_json(answer)
    elif answer["waiting"] is not None:
        out.print(plain(f"{answer['id']} waits for an approval; {grant} goes on meanwhile"))
        print_said(out, answer)
    else:
        out.print(plain(f"{grant} goes on until {answer['grant']['ends_at']}"))


@app.command("revoke")
def grant_revoke(
    grant: GrantId,
    reason: Annotated[
        Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"],
        typer.Option(help="Stands in the log"),
    ] = "other",
    text: Annotated[str, typer.Option(help="For whoever holds it to read")] = "",
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Revoke a grant for good, and say why (its platform, or the operator)."""
    with session(profile, lang, as_json=as_json) as me:
        answer = me.post(f"/v1/grants/{grant}/revoke", {"reason": reason, "text": text})
        keep_receipt(receipt, answer)
    print_grant(answer["grant"], as_json=as_json)


@app.command("download")
def grant_download(
    grant: GrantId,
    folder: Annotated[Path, typer.Option(help="Where the files go")] = Path(),
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Download what a grant allows; a file appears when its checksum is right.

    What was cut goes on where it ended, in this call or in the next.
    """
    with session(profile, lang, as_json=as_json) as me:
        done = download(me, grant, folder)
    if as_json:
        print_json([item | {"path": str(path)} for path, item in done])
        return
    if not done:
        err.print(
            plain(f"{grant} has no files: it is for calls (exchange grant call {grant} PATH).")
        )
        raise typer.Exit(REFUSED)
    for path, item in done:
        out.print(plain(f"{path}: {item['bytes']:,} bytes, sha256 {item['sha256']} ✓"))
