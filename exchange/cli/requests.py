"""Verbs of a request's life: ask, be asked back, answer, approve, and see who has it."""

from typing import Annotated, Any, Literal

import typer

from exchange.cli import why
from exchange.cli.forms import Form, FormFile, form_of
from exchange.cli.grants import Receipt, keep_receipt
from exchange.cli.offerings import OfferingId
from exchange.cli.output import (
    DEFAULT_PROFILE,
    REFUSED,
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
from exchange.client.session import Refusal
from exchange.client.verbs import Verbs

app = typer.Typer(help="Requests: who has mine, ask, answer, approve.", no_args_is_help=True)
RequestId = Annotated[str, typer.Argument(metavar="REQUEST", help="req_…")]
Purpose = Annotated[str, typer.Option(help="Such as logistics_planning")]
Days = Annotated[int, typer.Option(min=1, help="How long you need it")]
Actions = Annotated[
    list[str] | None, typer.Option("--action", help="read or call; again for both; default: read")
]
AcceptTerms = Annotated[
    bool, typer.Option("--accept-terms", help="You accept the offering's terms as they are now")
]
Text = Annotated[str, typer.Argument(metavar="TEXT", help="Your words")]
MaybeText = Annotated[str, typer.Option("--text", help="Your words")]


def request(
    offering: OfferingId,
    purpose: Purpose,
    days: Days = 30,
    action: Actions = None,
    form: Form = None,
    form_file: FormFile = None,
    accept_terms: AcceptTerms = False,
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Ask for access to an offering, for a purpose (SME). A refusal has a receipt too."""
    body: dict[str, Any] = {
        "offering_id": offering,
        "purpose": purpose,
        "actions": action or ["read"],
        "days": days,
    }
    with session(profile, lang, as_json=as_json) as me:
        body |= form_of(me, offering, form, form_file)
        if accept_terms:
            digest = me.get(f"/v1/offerings/{offering}")["terms_digest"]
            body |= {"accepted_terms": digest} if digest else {}
        try:
            answer = me.post("/v1/access-requests", body)
        except Refusal as refusal:
            keep_receipt(receipt, refusal.document.get("access_request"))
            raise
        keep_receipt(receipt, answer)
    print_request(answer, as_json=as_json)


def print_request(answer: dict[str, Any], *, as_json: bool) -> None:
    """Say what became of a request, and who has it."""
    if as_json:
        print_json(answer)
        return
    grant, waiting = answer["grant"], answer["waiting"]
    if waiting is not None:
        out.print(plain(f"{answer['id']} waits for an approval: {has_it(answer)}"))
        print_said(out, answer)
        _print_form(answer)
    elif grant is not None and answer["status"] in ("permitted", "approved"):
        _print_grant(grant)
    elif answer["closed"] is not None:
        out.print(plain(f"{answer['id']} {answer['status']} at {answer['closed']['at'][:16]}Z"))
        out.print(plain(f"  ✗ {why.closed(answer)}"))
    else:
        out.print(plain(f"{answer['id']} {answer['status']}"))
        print_said(out, answer)


def _print_form(answer: dict[str, Any]) -> None:
    """Show what an approval would be of, and how to approve nothing else."""
    if answer["form"]:
        for name, value in answer["form"].items():
            out.print(plain(f"  {name}: {value}"))
        out.print(plain(f"  to approve only this: --form-digest {answer['form_digest']}"))


def _print_grant(grant: dict[str, Any]) -> None:
    """Say until when a grant is; or that it is not in force, and who stopped it and why."""
    if grant["status"] == "active":
        out.print(plain(f"{grant['id']} granted until {grant['ends_at']}"))
        return
    out.print(plain(f"{grant['id']} is {grant['status']}: nothing is delivered under it"))
    for each in why.stopped(grant):
        out.print(plain(f"  ✗ {each}"))
    for hold in grant["holds"]:
        if hold["target_kind"] == "grant":  # others' holds are told of here, and not shown to all
            out.print(f"  → exchange hold show {plain(hold['hold_id'])}")


def has_it(answer: dict[str, Any]) -> str:
    """Say who has a request, since when, until when."""
    waiting = answer["waiting"]
    if waiting is None:
        return ""
    counted = f", {waiting['approvals']} of {waiting['approvers']} approvals"
    return (
        f"{waiting['for']} {waiting['organisation_id']} since {waiting['since'][:16]}Z "
        f"until {waiting['until'][:16]}Z{counted}"
    )


def explain(
    offering: OfferingId,
    purpose: Purpose,
    days: Days = 30,
    action: Actions = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Suppose this of you; again for more"),
    ] = None,
    evidence: Annotated[
        Literal["self_declared", "verified", "certified"],
        typer.Option(help="How well what you suppose is shown"),
    ] = "self_declared",
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Say whether you would get it, and what would make it a yes. Asks nobody, logs nothing."""
    attributes: dict[str, Any] = {}
    for pair in attribute or []:
        name, _, text = pair.partition("=")
        value: str | int | None = int(text) if text.isdecimal() and text.isascii() else text or None
        attributes[name] = {"value": value, "evidence": evidence}
    body = {
        "offering_id": offering,
        "purpose": purpose,
        "actions": action or ["read"],
        "days": days,
        "attributes": attributes,
    }
    with session(profile, lang, as_json=as_json) as me:
        answer = me.post("/v1/policy/explain", body)
    if as_json:
        print_json(answer)
        return
    out.print(plain(f"It would be: {answer['outcome']}"))
    print_said(out, {**answer, "remedies": answer["changes"] or answer["remedies"]})
    if answer["changes"] and answer["outcome_after"]:
        out.print(plain(f"With all of that: {answer['outcome_after']}"))
    if answer["terms_digest"]:
        out.print(plain("  → Accept its terms: --accept-terms (offering show prints them)"))
    for name in answer["required_fields"]:
        out.print(plain(f"  → Fill in its form: --form {name}=…"))


@app.command("list")
def requests_list(
    status: Annotated[str | None, typer.Option(help="Such as pending_approval")] = None,
    waiting_for: Annotated[str | None, typer.Option(help="provider or consumer")] = None,
    offering: Annotated[str | None, typer.Option(help="off_…")] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """List requests that you made or that concern your offerings, with who has them."""
    filters = {"status": status, "waiting_for": waiting_for, "offering_id": offering}
    with session(profile, lang, as_json=as_json) as me:
        print_list(
            me.pages("/v1/access-requests", **filters),
            ("id", "purpose", "status", "who has it, or why"),
            lambda r: (
                *(r["id"], r["purpose"], r["status"]),
                has_it(r) or why.closed(r) or "; ".join(s["text"] for s in r["reasons"]),
            ),
            as_json=as_json,
        )


@app.command("show")
def requests_show(
    request: RequestId,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Show a request: what was asked, what was decided, who has it until when."""
    with session(profile, lang, as_json=as_json) as me:
        answer = me.get(f"/v1/access-requests/{request}")
    print_document(answer if as_json else _in_words(answer), as_json=as_json)


def _in_words(answer: dict[str, Any]) -> dict[str, Any]:
    """Write a request for people. Why it waited is not why it was closed."""
    said = [] if answer["closed"] is not None else answer["reasons"]
    return {
        **answer,
        "waiting": has_it(answer),
        "closed": why.closed(answer),
        "reasons": [each["text"] for each in said],
        "remedies": [each["text"] for each in answer["remedies"]],
        "grant": why.standing(answer["grant"]),
        "receipt": None,
    }


@app.command("steps")
def requests_steps(
    request: RequestId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """List what was done with a request: when, by whom, in which words."""
    with session(profile, as_json=as_json) as me:
        print_list(
            me.pages(f"/v1/access-requests/{request}/steps"),
            ("at", "what", "organisation", "member", "text"),
            lambda s: (
                *(s["at"], s["kind"] + (", form changed" if s["form_changed"] else "")),
                *(s["by_organisation_id"] or "the clock", s["by_member_id"] or "", s["text"] or ""),
            ),
            as_json=as_json,
        )


@app.command("wait")
def requests_wait(
    request: RequestId,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds")] = 3600,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Wait until a request is decided, or waits for your answer.

    Ends with 0 where it was granted or it is your turn, 1 where it was refused, rejected, withdrawn
    or lapsed, 2 where nobody decided in time.
    """
    with session(profile, lang, as_json=as_json) as me:
        done = me.run(Verbs(me.profile).wait(request, timeout=timeout))
    print_request(dict(done.raw), as_json=as_json)
    if done.is_decided and not done.is_permitted:
        raise typer.Exit(REFUSED)


@app.command("answer")
def requests_answer(
    request: RequestId,
    text: Text,
    form: Form = None,
    form_file: FormFile = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Answer what you were asked (SME), with fields of the form that change."""
    with session(profile, lang, as_json=as_json) as me:
        body: dict[str, Any] = {"text": text}
        if form or form_file:
            asked = me.get(f"/v1/access-requests/{request}")["offering_id"]
            body |= form_of(me, asked, form, form_file)
        answer = me.post(f"/v1/access-requests/{request}/answer", body)
    print_request(answer, as_json=as_json)


@app.command("approve")
def requests_approve(
    request: RequestId,
    text: MaybeText = "",
    form_digest: Annotated[
        str | None,
        typer.Option(help="Of the form that you read: not another, should it have been changed"),
    ] = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Approve (approver); it is granted when enough people have."""
    with session(profile, lang, as_json=as_json) as me:
        body = {"text": text} | ({"form_digest": form_digest} if form_digest else {})
        answer = me.post(f"/v1/access-requests/{request}/approve", body)
    print_request(answer, as_json=as_json)


def _add_act(verb: str, text_type: Any, default: Any, said: str) -> None:
    """Give the command a verb that takes words and nothing else."""

    def act(
        request: RequestId,
        text: text_type = default,
        profile: ProfilePath = DEFAULT_PROFILE,
        lang: Lang = "en",
        as_json: AsJson = False,
    ) -> None:
        with session(profile, lang, as_json=as_json) as me:
            answer = me.post(f"/v1/access-requests/{request}/{verb}", {"text": text})
        print_request(answer, as_json=as_json)

    app.command(verb, help=said)(act)


for _verb, _text, _default, _said in (
    ("comment", Text, ..., "Say something that asks for nothing (both sides)."),
    ("withdraw", MaybeText, "", "Take back a request that is not decided (SME)."),
    ("appeal", Text, ..., "Answer a refusal or a revocation: that you did is in the log (SME)."),
    ("ask", Text, ..., "Ask the applicant something; the request waits for its answer (approver)."),
    ("reject", Text, ..., "Reject a request, and say why (approver)."),
):
    _add_act(_verb, _text, _default, _said)
