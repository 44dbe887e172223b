"""Verbs of an auditor: verify the whole log, export it, check an export."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from exchange.auditing.check_export import Checked, ExportRefused, check_export
from exchange.cli.log import (
    ByGrant,
    ByKind,
    ByOffering,
    ByOrganisation,
    ByReason,
    ByRequest,
    Since,
    Until,
    given,
)
from exchange.cli.output import (
    DEFAULT_PROFILE,
    REFUSED,
    AsJson,
    NotAsPublished,
    ProfilePath,
    err,
    in_words,
    out,
    plain,
    print_json,
    session,
)
from exchange.cli.verify import read_key
from exchange.cli.verify_log import verify_log
from exchange.client.profile import read_profile

app = typer.Typer(help="Judge the exchange by its log.", no_args_is_help=True)
_JWKS = "/oauth/jwks"


@app.command("verify")
def audit_verify(
    log_key: Annotated[
        str,
        typer.Option(
            envvar="EXCHANGE_LOG_KEY",
            help="The log's verifier key, or a file with it; else the profile's, if it has one",
        ),
    ] = "",
    state: Annotated[
        Path | None,
        typer.Option(help="Where to remember what was verified; else beside the profile"),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read the log from its first entry again")
    ] = False,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Verify the whole log: every entry, every tile, every root.

    For an auditor whose engagement covers the whole log, or the operator.

    Goes on where it was stopped, and proves that the log only grew since it was last verified.
    """
    verify_log(profile, state, log_key, again=again, as_json=as_json)


@app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="Where to write it; its manifest goes beside it")],
    form: Annotated[
        Literal["jsonl", "csv", "parquet"] | None,
        typer.Option("--format", help="Else by the file's name, or JSON Lines"),
    ] = None,
    organisation: ByOrganisation = None,
    offering: ByOffering = None,
    grant: ByGrant = None,
    request: ByRequest = None,
    kind: ByKind = None,
    reason: ByReason = None,
    since: Since = None,
    until: Until = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    as_json: AsJson = False,
) -> None:
    """Export entries of the log into a file, with the signed manifest beside it (FILE.manifest).

    An auditor exports what its engagements cover.
    """
    by_name = file.suffix.removeprefix(".")
    params = given(
        organisation=organisation,
        offering=offering,
        grant=grant,
        request=request,
        kind=kind,
        reason=reason,
        since=since,
        until=until,
    )
    params["format"] = form or (by_name if by_name in ("csv", "parquet") else "jsonl")
    with session(profile, as_json=as_json) as me:
        answer = me.request("GET", "/v1/log/export", params=params, timeout=300)
        manifest = answer.headers.get("Exchange-Manifest", "")
        keys = json.loads(me.text(_JWKS))
        checked = _checked(answer.content, manifest, keys, me.profile.log_key)
        file.write_bytes(answer.content)
        _beside(file, "manifest").write_text(manifest + "\n", "utf-8")
        _beside(file, "jwks").write_text(json.dumps(keys, indent=1) + "\n", "utf-8")
        source = f"{me.profile.url.rstrip('/')}{_JWKS}"
    _print_export(checked, file, source, proved=True, as_json=as_json)


@app.command("check")
def audit_check(
    file: Annotated[Path, typer.Argument(help="An export, its manifest beside it")],
    jwks: Annotated[
        Path | None,
        typer.Option(
            help="The exchange's keys (GET /oauth/jwks), got otherwise than with the file"
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", "-p", help="Fetch the keys from this profile's exchange"),
    ] = None,
    trust_kept_keys: Annotated[
        bool,
        typer.Option(
            "--trust-kept-keys",
            help="Be content with the keys kept beside the file (FILE.jwks): you exported it",
        ),
    ] = False,
    log_key: Annotated[
        str,
        typer.Option(
            envvar="EXCHANGE_LOG_KEY",
            help="The log's verifier key, or a file with it: checks the checkpoint too, and every "
            "entry of an export of the whole log (jsonl)",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check an export: the manifest is signed, and the file is the one it means.

    Needs no network but with --profile. Keys that lie beside the file prove nothing against whoever
    had it: give keys that came another way, or the log's key.
    """
    with in_words(as_json=as_json):
        manifest = _beside(file, "manifest").read_text("utf-8").strip()
        keys, source = _keys(file, jwks, profile)
        if profile is not None:
            log_key = log_key or read_profile(profile).log_key
        key = read_key(log_key).vkey if log_key else ""
        checked = _checked(file.read_bytes(), manifest, keys, key)
    trusted = source is not None or trust_kept_keys or checked.root_met
    kept = f"{_beside(file, 'jwks')}, beside the file"
    _print_export(checked, file, source or kept, proved=trusted, as_json=as_json)
    if source is None and not trust_kept_keys:
        all_the_same = _ROOT_MET if trusted else ""
        err.print(f"[{'yellow' if trusted else 'red'}]{_KEPT}[/]{all_the_same}")
    if not trusted:
        raise typer.Exit(REFUSED)


_KEPT = (
    "The keys came with the file: whoever had it may have signed another manifest with keys of "
    "their own. Give --jwks with keys that you got otherwise (GET /oauth/jwks of the exchange) or "
    "--profile to fetch them; --trust-kept-keys if you exported the file and nobody else had it."
)
_ROOT_MET = " The entries are the log's all the same; who exported them, and when, is not proved."


def _keys(file: Path, jwks: Path | None, profile: Path | None) -> tuple[object, str | None]:
    """Return the exchange's keys and where they came from; None: from beside the file."""
    if jwks is not None and profile is not None:
        raise typer.BadParameter("one of --jwks and --profile is enough", param_hint="--jwks")
    if profile is not None:
        with session(profile) as me:
            text, source = me.text(_JWKS), f"{me.profile.url.rstrip('/')}{_JWKS}"
    else:
        beside = _beside(file, "jwks")
        text = (jwks or beside).read_text("utf-8")
        source = "" if jwks is None or jwks.resolve() == beside.resolve() else str(jwks)
    try:
        return json.loads(text), source or None
    except ValueError:
        raise NotAsPublished("The keys are no JWK Set.") from None


def _beside(file: Path, what: str) -> Path:
    return file.with_name(f"{file.name}.{what}")


def _checked(data: bytes, manifest: str, keys: object, log_key: str) -> Checked:
    verifier = read_key(log_key) if log_key else None
    try:
        return check_export(data, manifest, keys, verifier)
    except ExportRefused as refused:
        raise NotAsPublished(str(refused)) from None


def _print_export(
    checked: Checked, file: Path, keys_from: str, *, proved: bool, as_json: bool
) -> None:
    claims = checked.claims
    if as_json:
        judged = {
            "proved": proved,
            "key": checked.key,
            "keys_from": keys_from,
            "root_compared": checked.root_met,
            "root_not_compared_because": checked.why_not or None,
        }
        print_json({**claims, "check": judged})
        return
    log, size = [*claims["checkpoint"].split("\n"), "", ""][:2]
    mark = "[green]✓" if proved else "[yellow]?"
    out.print(f"{mark} {claims['leaves']} entries[/] of {plain(size)} in {plain(file)}")
    out.print(f"  sha256 {plain(claims['sha256'])}, signed as {plain(claims.get('iss', ''))}")
    out.print(f"  with the key {plain(checked.key)} of {plain(keys_from)}")
    if checked.root_met:
        out.print(f"  the log's root compared: these are the entries that {plain(log)} signed")
    else:
        out.print(f"  the log's root not compared: {plain(checked.why_not)}")
