"""The verb of a developer's first hour: ask for a sandbox, and be told what to type next."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from exchange.cli.offerings import OfferingId
from exchange.cli.output import (
    DEFAULT_PROFILE,
    AsJson,
    Lang,
    ProfilePath,
    out,
    plain,
    print_json,
    session,
)
from exchange.cli.requests import print_request
from exchange.cli.transfer import download
from exchange.cli.usage import print_allowances
from exchange.client.documents import Offering, Request, Usage
from exchange.client.verbs import Verbs


def try_out(
    offering: OfferingId,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Bring its first file into this folder, too")
    ] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
    as_json: AsJson = False,
) -> None:
    """Try a sandbox: anyone registered is given it at once. Says what to type next.

    `exchange offering search --sandbox` lists them.
    """
    with session(profile, lang, as_json=as_json) as me:
        verbs = Verbs(me.profile)
        shown = me.run(verbs.offering(offering))
        if fetch and shown.kind != "dataset":
            raise typer.BadParameter(f"{offering} has no files to bring: it is for calls.")
        asked = me.run(verbs.try_out(shown))
        grant = asked.grant
        if grant is None or grant.status != "active":
            print_request(dict(asked.raw), as_json=as_json)
            return
        usage = me.run(verbs.usage(grant))
        brought = download(me, grant.id, Path(), most=1) if fetch else []
    following = shlex.join([*next_words(shown, asked, usage, fetched=fetch), *_as_whom(profile)])
    if as_json:
        files = [item | {"path": str(path)} for path, item in brought]
        print_json({**asked.raw, "usage": dict(usage.raw), "files": files, "next": following})
        return
    print_request(dict(asked.raw), as_json=False)
    for rule in grant.obligations.get("paths", ()):
        out.print(plain(f"  allows {rule}"))
    print_allowances(dict(usage.raw))
    for path, item in brought:
        out.print(plain(f"{path}: {item['bytes']:,} bytes, sha256 {item['sha256']} ✓"))
    out.print(plain(f"→ {following}"))


def next_words(shown: Offering, asked: Request, usage: Usage, *, fetched: bool) -> Sequence[str]:
    """Return the command that comes next: a first use, or what brings a new allowance."""
    grant, verb = asked.grant, ("exchange", "grant")
    if grant is None:
        return (*verb, "list")
    used_up = [
        each
        for each in usage.allowances
        if each.left == 0 and each.obligation not in ("calls_per_minute", "concurrent")
    ]
    if any(each.resets_at is None for each in used_up):
        return (*verb, "renew", grant.id, "--days", str(asked.days))
    if used_up:  # it was renewed: that says from when there is more
        return (*verb, "usage", grant.id)
    if fetched:
        return (*verb, "usage", grant.id)
    if shown.kind == "dataset":
        return (*verb, "download", grant.id)
    return (*verb, "call", grant.id, *_first_call(grant.obligations.get("paths", ())))


def _first_call(rules: Sequence[Any]) -> Sequence[str]:
    """Return the words of a call that is allowed, where the grant names one; else PATH.

    Which others a service takes, its description says.
    """
    for rule in rules:
        method, _, path = str(rule).partition(" ")
        if "*" not in path:
            return (path.removeprefix("/"), *(() if method == "GET" else ("--method", method)))
    return ("PATH",)


def _as_whom(profile: Path) -> Sequence[str]:
    """Return the option that says who one is, where the next command would not know it."""
    known = os.environ.get("EXCHANGE_PROFILE") or str(DEFAULT_PROFILE)
    return () if str(profile) == known else ("--profile", str(profile))
