"""Verbs about people of organisations, and about who one is."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.log import read_log_key
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    in_words,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)
from exchange.client.profile import create_profile, jwks_of, new_profile, update_profile
from exchange.client.session import Session

app = typer.Typer(help="People of an organisation.", no_args_is_help=True)

OwnOrganisation = Annotated[str, typer.Option(metavar="ORG", help="Default: your own")]
MemberId = Annotated[str, typer.Argument(metavar="MEMBER", help="mbr_…")]
Roles = Annotated[
    list[str],
    typer.Option("--role", help="owner, publisher, approver, developer or auditor; again for more"),
]


@app.command("invite")
def member_invite(
    name: Annotated[str, typer.Option(help="The person's name")],
    roles: Roles,
    organisation: OwnOrganisation = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Invite a person (owner, or operator), and print the invitation: give it to nobody else."""
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        document = {"name": name, "roles": roles}
        invited = me.post(f"/v1/organisations/{organisation}/members", document)
    if as_json:
        print_json(invited)
        return
    member = invited["member"]
    typer.echo(
        f"{member['id']} is invited until {member['invitation_expires_at']}. This is shown once:",
        err=True,
    )
    typer.echo(invited["invitation"])


@app.command("accept")
def member_accept(
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="- reads it from standard input")
    ],
    new_profile_path: Annotated[
        Path, typer.Option("--new-profile", metavar="PATH", help="Where your key and profile go")
    ],
    url: Annotated[str, typer.Option(help="Where the exchange is")] = "http://127.0.0.1:8000",
    name: Annotated[str, typer.Option(help="What to call this client")] = "command line",
    as_json: AsJson = False,
) -> None:
    """Join an organisation: make your key, accept the invitation, write your profile."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("a URL begins with http:// or https://", param_hint="--url")
    if invitation == "-":
        invitation = typer.get_text_stream("stdin").readline().strip()
    fresh = new_profile(url)
    with in_words(as_json=as_json):
        # The key stands on disk before anything is asked: an invitation is good only once.
        create_profile(new_profile_path, fresh)
        me = Session(fresh)
        try:
            log_key = read_log_key(me)
            document = {"invitation": invitation, "jwks": jwks_of(fresh), "name": name}
            joined: Any = me.post_openly("/v1/invitations/accept", document)
        except BaseException:
            new_profile_path.unlink(missing_ok=True)
            raise
        finally:
            me.close()
        client = joined["client"]
        made = replace(
            fresh,
            client_id=client["id"],
            organisation_id=client["organisation_id"],
            log_key=log_key,
        )
        update_profile(new_profile_path, made)
    if as_json:
        print_json(joined)
        return
    roles = ", ".join(joined["member"]["roles"])
    out.print(
        plain(
            f"You are {joined['member']['id']} of {made.organisation_id} ({roles}); "
            f"profile {new_profile_path}"
        )
    )


@app.command("list")
def member_list(
    organisation: OwnOrganisation = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List an organisation's people."""
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        print_list(
            me.pages(f"/v1/organisations/{organisation}/members"),
            ("id", "name", "roles", "status", "since"),
            lambda m: (
                *(m["id"], m["name"] or "", ", ".join(m["roles"])),
                *(m["status"], m["created_at"]),
            ),
            as_json=as_json,
        )


@app.command("set")
def member_set(
    member: MemberId,
    roles: Roles,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Give a member these roles instead of theirs (owner, or operator)."""
    with session(profile, as_json=as_json) as me:
        print_document(me.put(f"/v1/members/{member}", {"roles": roles}), as_json=as_json)


@app.command("remove")
def member_remove(
    member: MemberId, profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False
) -> None:
    """Remove a member, or withdraw an invitation (owner, or operator)."""
    with session(profile, as_json=as_json) as me:
        print_document(me.post(f"/v1/members/{member}/remove"), as_json=as_json)


def whoami(profile: ProfilePath = DEFAULT_PROFILE, as_json: AsJson = False) -> None:
    """Show who you are to the exchange, and what you may do there."""
    with session(profile, as_json=as_json) as me:
        told = me.get("/v1/me")
        if as_json:
            print_json(told)
            return
        member, organisation = told["member"], told["organisation"]
        print_document(
            {
                "organisation": organisation["id"],
                "name": f"{organisation['name_en']} {organisation['name_zh']}",
                "holds": organisation["roles"],
                "member": member and f"{member['id']} {member['name']}",
                "as": member and member["roles"],
                "client": f"{told['client']['id']} {told['client']['name']}",
                "scopes": told["scopes"],
                "reads": told["sight"],
            },
            as_json=False,
        )
