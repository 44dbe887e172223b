"""Verbs by which a program is invited, and registers itself (RFC 7591)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.clients import Bound, OwnOrganisation
from exchange.cli.log import read_log_key
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    ProfilePath,
    err,
    in_words,
    out,
    plain,
    print_document,
    print_json,
    print_list,
    session,
)
from exchange.client.errors import NotAnExchange, Refused
from exchange.client.profile import create_profile, jwks_of, new_profile, update_profile
from exchange.client.session import Session

_INVITATION = re.compile(r"[\x21-\x7e]{1,256}")  # what a header can hold
KEPT = (
    "Whether it was registered is not known, so {path} was kept, with the key. Whoever invited it "
    "sees that: `exchange client invitations` shows the invitation as used, with the client's id, "
    "or as open. If used: `exchange profile set -p {path} --organisation ORG --client CLIENT`, "
    "once it is active. If open: delete {path} and register again."
)


def client_invite(
    days: Annotated[int, typer.Option(min=1, max=30, help="How long it is good for")] = 7,
    approved: Annotated[
        bool, typer.Option("--approved", help="Operator: the client need not wait for you")
    ] = False,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Operator: it may authenticate by a secret")
    ] = False,
    organisation: OwnOrganisation = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Invite a program to register (owner, or operator), and print the invitation, good once."""
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        body = {"days": days, "approved": approved, "secrets": secrets}
        made = me.post(f"/v1/organisations/{organisation}/client-invitations", body)
    if as_json:
        print_json(made)
        return
    told = made["invitation"]
    typer.echo(f"{told['id']} is good until {told['expires_at']}. This is shown once:", err=True)
    typer.echo(made["initial_access_token"])


def client_invitations(
    organisation: OwnOrganisation = "",
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """List invitations of programs (owner, or operator)."""
    with session(profile, as_json=as_json) as me:
        organisation = organisation or me.profile.organisation_id
        print_list(
            me.pages(f"/v1/organisations/{organisation}/client-invitations"),
            ("id", "status", "until", "client"),
            lambda i: (i["id"], i["status"], i["expires_at"], i["client_id"] or ""),
            as_json=as_json,
        )


def client_withdraw(
    invitation: Annotated[str, typer.Argument(metavar="INVITATION", help="inv_…")],
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Withdraw an invitation of a program that nobody used (owner, or operator)."""
    with session(profile, as_json=as_json) as me:
        answer = me.post(f"/v1/client-invitations/{invitation}/withdraw")
        print_document(answer, as_json=as_json)


def client_register(
    invitation: Annotated[
        str, typer.Argument(metavar="INVITATION", help="- reads it from standard input")
    ],
    new_profile_path: Annotated[
        Path, typer.Option("--new-profile", metavar="PATH", help="Where its key and profile go")
    ],
    url: Annotated[str, typer.Option(help="Where the exchange is")] = "http://127.0.0.1:8000",
    name: Annotated[str, typer.Option(help="What to call this client")] = "program",
    bound: Bound = None,
    as_json: AsJson = False,
) -> None:
    """Register a program by an invitation: make its key, register it, write its profile."""
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter("a URL begins with http:// or https://", param_hint="--url")
    if invitation == "-":
        invitation = typer.get_text_stream("stdin").readline().strip()
    if not _INVITATION.fullmatch(invitation):
        raise typer.BadParameter(
            "this is none: `exchange client invite` prints one", param_hint="INVITATION"
        )
    fresh = new_profile(url)
    document: dict[str, Any] = {"client_name": name, "jwks": jwks_of(fresh)}
    if bound is not None:
        document["dpop_bound_access_tokens"] = bound
    with in_words(as_json=as_json):
        me = Session(fresh)
        try:
            fresh = replace(fresh, log_key=read_log_key(me))
            # The key stands on disk before it is sent: an invitation is good only once.
            create_profile(new_profile_path, fresh)
            with _kept_unless_refused(new_profile_path):
                made = me.register(invitation, document)
                client, organisation = _ids(made)
                joined = replace(fresh, client_id=client, organisation_id=organisation)
                update_profile(new_profile_path, joined)
        finally:
            me.close()
    if as_json:
        print_json(made)
        return
    waits = " It gets tokens once the operator approves it." if made["status"] == "pending" else ""
    out.print(plain(f"{made['client_id']} registered; profile {new_profile_path}.{waits}"))


@contextmanager
def _kept_unless_refused(path: Path) -> Iterator[None]:
    """Delete a new profile where the exchange refused its key; otherwise it may have taken it."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Refused) and error.status < 500:
            path.unlink(missing_ok=True)
        else:
            err.print(plain(KEPT.format(path=path)))
        raise


def _ids(made: Any) -> tuple[str, str]:
    try:
        return str(made["client_id"]), str(made["organisation_id"])
    except (KeyError, TypeError) as error:
        raise NotAnExchange("What answers registers nobody, and does not say why.") from error


def add_to(clients: typer.Typer) -> None:
    """Put these verbs beside the others of `exchange client`."""
    clients.command("invite")(client_invite)
    clients.command("invitations")(client_invitations)
    clients.command("withdraw")(client_withdraw)
    clients.command("register")(client_register)
