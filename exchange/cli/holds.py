"""Verbs about holds: suspend for now, list, show, lift."""

from typing import Annotated, Any, Literal

import typer

from exchange.cli.grants import Receipt, keep_receipt
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    Lang,
    ProfilePath,
    print_document,
    print_list,
    session,
)

app = typer.Typer(help="Holds: suspend for now, list, lift.", no_args_is_help=True)
HoldId = Annotated[str, typer.Argument(metavar="HOLD", help="hld_…")]
Words = Annotated[str, typer.Option(help="For the other side to read")]


@app.command("place")
def place(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="grt_…, off_… or, for the operator, org_…")
    ],
    reason: Annotated[
        Literal["terms_breached", "security_incident", "under_investigation", "unpaid", "other"],
        typer.Option(help="Stands in the log"),
    ] = "other",
    text: Words = "",
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Suspend a grant or an offering (its platform, or the operator), or an organisation."""
    body = {"target": target, "reason": reason, "text": text}
    with session(profile, lang, as_json=as_json) as me:
        answer = me.post("/v1/holds", body)
        keep_receipt(receipt, answer)
    _print(answer, as_json=as_json)


@app.command("list")
def list_holds(
    target: Annotated[
        str | None, typer.Option(help="Of this grant, offering, organisation")
    ] = None,
    lifted: Annotated[bool, typer.Option("--lifted", help="Lifted ones too")] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List open holds on your organisation, your grants and your offerings, newest first."""
    wanted: dict[str, Any] = {} if lifted else {"open": True}
    if target is not None:
        wanted["target"] = target
    with session(profile, lang, as_json=as_json) as me:
        print_list(
            me.pages("/v1/holds", **wanted),
            ("id", "target", "by", "since", "why", "lifted"),
            lambda h: (
                *(h["id"], h["target"], h["placed_by"], h["placed_at"], _why(h)),
                h["lifted_at"] or "",
            ),
            as_json=as_json,
        )


@app.command("show")
def show(
    hold: HoldId,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Show a hold: who placed it, since when, why; what the policy said, if a rule did."""
    with session(profile, lang, as_json=as_json) as me:
        answer = me.get(f"/v1/holds/{hold}")
    print_document(answer, as_json=as_json)


@app.command("lift")
def lift(
    hold: HoldId,
    text: Words = "",
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Lift a hold (whoever placed it, or the operator)."""
    with session(profile, lang, as_json=as_json) as me:
        answer = me.post(f"/v1/holds/{hold}/lift", {"text": text})
        keep_receipt(receipt, answer)
    _print(answer, as_json=as_json)


def _why(hold: dict[str, Any]) -> str:
    """Say why a hold was placed; of a rule's, what the policy said."""
    return " ".join([hold["reason_text"], *(each["text"] for each in hold["policy_reasons"])])


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print a hold; a receipt is for a file or a program."""
    shown = answer if as_json else {k: v for k, v in answer.items() if k != "receipt"}
    print_document(shown, as_json=as_json)
