"""The sample path's second half: approved by two people, renewed, and an offering withdrawn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from exchange.cli.engagements import in_days
from exchange.cli.log import read_log_key
from exchange.cli.output import out, plain, print_said
from exchange.cli.transfer import download
from exchange.cli.words import Words
from exchange.cli.world import APPROVERS, World
from exchange.client.profile import (
    create_profile,
    jwks_of,
    new_profile,
    read_profile,
    update_profile,
)
from exchange.client.session import Refusal, Session

PURPOSE = "scientific_research"
ENGAGED_DAYS = 90
FORM = {"intended_use": "Delays of connecting freight."}


def invite(world: World, operator: Session) -> set[str]:
    """Invite the platform's two approvers, who are people; return those who had joined before.

    Each makes a key of its own: the operator hands over an invitation, and no key.
    """
    platform = read_profile(world.platform).organisation_id
    known = set()
    for name in APPROVERS:
        path = world.profile(name)
        if path.exists():
            other = read_profile(path).organisation_id
            if other == platform:
                known.add(name)
            else:  # of a platform whose profile was lost: the key is kept
                path.rename(path.with_name(f"{name}-of-{other}.json"))
    for name, person in APPROVERS.items():
        if name not in known:
            body = {"name": person, "roles": ["approver"]}
            invited = operator.post(f"/v1/organisations/{platform}/members", body)
            _join(world.profile(name), operator.profile.url, invited["invitation"])
    return known


def engage(world: World, operator: Session) -> str:
    """Engage the auditor for the whole log, unless it is; return until when."""
    auditor = read_profile(world.auditor).organisation_id
    for held in operator.pages("/v1/engagements", auditor=auditor, active=True):
        if held["scope"] == "whole" and held["ends_at"] > in_days(1):
            return str(held["ends_at"])
    body = {
        "auditor": auditor,
        "scope": "whole",
        "ends_at": in_days(ENGAGED_DAYS),
        "purpose": "The sample path's audit",
    }
    return str(operator.post("/v1/engagements", body)["ends_at"])


def _join(path: Path, url: str, invitation: str) -> None:
    fresh = new_profile(url)
    create_profile(path, fresh)
    me = Session(fresh)
    try:
        log_key = read_log_key(me)
        body = {"invitation": invitation, "jwks": jwks_of(fresh), "name": "command line"}
        client = me.post_openly("/v1/invitations/accept", body)["client"]
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        me.close()
    joined = replace(fresh, client_id=client["id"], organisation_id=client["organisation_id"])
    update_profile(path, replace(joined, log_key=log_key))


def ask(sme: Session, offering: dict[str, Any]) -> dict[str, Any]:
    """Ask for what people approve, with the form filled in and the terms accepted."""
    body = {
        "offering_id": offering["id"],
        "purpose": PURPOSE,
        "days": 30,
        "form": FORM,
        "accepted_terms": offering["terms_digest"],
    }
    return dict(sme.post("/v1/access-requests", body))


def settle(
    say: Words, sme: Session, approvers: list[Session], request: dict[str, Any]
) -> dict[str, Any]:
    """Play the rest of a request: asked back, answered, approved by two; then list its steps.

    It goes on from where an earlier play was stopped.
    """
    path = f"/v1/access-requests/{request['id']}"
    done = [each["kind"] for each in sme.pages(f"{path}/steps")]
    pending = request["status"] == "pending_approval"
    if pending and "questioned" not in done:
        request = approvers[0].post(f"{path}/ask", {"text": say("Which routes will you look at?")})
    if pending and request["waiting"]["for"] == "consumer":
        request = sme.post(f"{path}/answer", {"text": say("Freight on the routes to Chicago.")})
    for approver in approvers:
        if pending and approver.profile.client_id not in _approved(sme, path):
            approver.post(f"{path}/approve", {"text": say("Approved.")})
    for each in sme.pages(f"{path}/steps"):
        who = each["by_member_id"] or each["by_organisation_id"] or say("the clock")
        out.print(plain(f"  {each['at'][11:19]}  {each['kind']:<12} {who}  {each['text'] or ''}"))
    return dict(sme.get(path))


def _approved(me: Session, path: str) -> set[str]:
    steps = me.pages(f"{path}/steps")
    return {each["by_client_id"] for each in steps if each["kind"] == "approved"}


def renew(say: Words, sme: Session, grant: str, days: int) -> None:
    """Renew a grant: the same one, with a later end."""
    before = sme.get(f"/v1/grants/{grant}")["ends_at"]
    after = sme.post(f"/v1/grants/{grant}/renew", {"days": days})["grant"]["ends_at"]
    say.line(
        "%(grant)s ended %(before)s, ends %(after)s now", grant=grant, before=before, after=after
    )


def withdraw(
    say: Words, platform: Session, sme: Session, offering: dict[str, Any], world: World
) -> None:
    """Withdraw an offering under which a grant stands: that goes on, and no other begins."""
    held = _grant_under(sme, offering["id"])
    if held is None and offering["status"] == "published":
        body = {"offering_id": offering["id"], "purpose": PURPOSE, "days": 30}
        held = sme.post("/v1/access-requests", body)["grant"]
    if offering["status"] == "published":
        platform.post(f"/v1/offerings/{offering['id']}/withdraw")
    say.line("%(offering)s is withdrawn", offering=offering["id"])
    if held is not None:
        for path, item in download(sme, held["id"], world.downloads / "withdrawn"):
            say.line(
                "%(grant)s goes on: %(path)s, %(bytes)s bytes, sha256 as published [green]✓[/]",
                grant=held["id"],
                path=path,
                bytes=f"{item['bytes']:,}",
            )
    try:
        body = {"offering_id": offering["id"], "purpose": "logistics_planning", "days": 30}
        answer = sme.post("/v1/access-requests", body)
    except Refusal as refusal:
        say.line("a new request is [red]refused[/]:")
        print_said(out, refusal.document["access_request"])
        return
    raise RuntimeError(f"expected a refusal, got {answer['status']}")


def _grant_under(sme: Session, offering: str) -> dict[str, Any] | None:
    grants = sme.pages("/v1/grants", status="active")
    return next((dict(each) for each in grants if each["offering_id"] == offering), None)
