"""Verbs about requests, grants and deliveries."""

import hashlib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
import typer

from exchange.cli.offerings import progress
from exchange.cli.output import (
    DEFAULT_PROFILE,
    Lang,
    ProfilePath,
    err,
    out,
    print_json,
    print_said,
    print_table,
    session,
)
from exchange.cli.session import Session

grant_app = typer.Typer(help="Grants: list, download under, revoke.", no_args_is_help=True)
Receipt = Annotated[Path | None, typer.Option(help="Write the receipt (.tlog-proof) here")]


class NotAsPublished(Exception):
    """What arrived is not what was published."""


def request(
    offering: str,
    purpose: Annotated[str, typer.Option(help="Such as logistics_planning")],
    days: Annotated[int, typer.Option(min=1)] = 30,
    action: Annotated[list[str] | None, typer.Option(help="read or call")] = None,
    receipt: Receipt = None,
    profile: ProfilePath = DEFAULT_PROFILE,
    lang: Lang = "en",
) -> None:
    """Ask for access to an offering, for a purpose (SME)."""
    body = {
        "offering_id": offering,
        "purpose": purpose,
        "actions": action or ["read"],
        "days": days,
    }
    with session(profile, lang) as me:
        answer = me.post("/v1/access-requests", body)
    if receipt is not None and answer["receipt"]:
        receipt.write_text(answer["receipt"], "utf-8")
    if answer["grant"] is None:
        out.print(f"{answer['id']} waits for an approval")
        print_said(out, answer)
        return
    grant = answer["grant"]
    out.print(f"{grant['id']} granted until {grant['ends_at']}")


def _keep_receipt(path: Path | None, answer: dict[str, Any]) -> None:
    if path is not None and answer.get("receipt"):
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
def grant_show(grant: str, profile: ProfilePath = DEFAULT_PROFILE) -> None:
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
    grant: str,
    reason: Literal["terms_breached", "no_longer_offered", "granted_by_mistake", "other"] = "other",
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Revoke a grant for good (its platform, or the operator)."""
    with session(profile) as me:
        print_json(me.post(f"/v1/grants/{grant}/revoke", {"reason": reason})["grant"])


@grant_app.command("download")
def grant_download(
    grant: str,
    folder: Annotated[Path, typer.Option(help="Where the files go")] = Path(),
    profile: ProfilePath = DEFAULT_PROFILE,
) -> None:
    """Download what a grant allows, with a progress bar, and check it against its checksum."""
    with session(profile) as me:
        try:
            for path, item in download(me, grant, folder):
                out.print(f"{path}: {item['bytes']:,} bytes, sha256 {item['sha256']} ✓")
        except NotAsPublished as error:
            err.print(f"[red]{error}[/]")
            raise typer.Exit(1) from None
        except OSError as error:
            err.print(f"[red]{folder} cannot be written: {error.strerror}.[/]")
            raise typer.Exit(1) from None


def download(sme: Session, grant: str, folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Download every file of a grant; raises NotAsPublished and keeps nothing of that file."""
    scope = f"grant:{grant}"
    listed = sme.request("GET", f"/gateway/grants/{grant}", scope=scope).json()["objects"]
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    with progress() as bar:
        for item in listed:
            path = _inside(folder, item["name"])
            _fetch(sme, scope, item, path, bar.add_task(item["name"], total=item["bytes"]), bar)
            done.append((path, item))
    return done


def _inside(folder: Path, name: str) -> Path:
    """Return where a file goes; a name that leads out of the folder is refused."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part for part in parts):
        raise NotAsPublished(f"The name {name!r} leads out of the folder. Nothing was kept.")
    path = folder.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _fetch(sme: Session, scope: str, item: dict[str, Any], path: Path, task: Any, bar: Any) -> None:
    partial = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    headers = {"Authorization": f"Bearer {sme.token(scope)}"}
    try:
        with (
            sme.http.stream("GET", item["url"], headers=headers) as response,
            partial.open("wb") as file,
        ):
            response.raise_for_status()
            for piece in response.iter_raw():
                digest.update(piece)
                file.write(piece)
                bar.advance(task, len(piece))
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != item["sha256"]:
            raise NotAsPublished(
                f"{item['name']}: what arrived is not what was published (sha256 "
                f"{digest.hexdigest()}, published {item['sha256']}). Nothing was kept."
            )
    except (NotAsPublished, httpx.HTTPError):
        partial.unlink(missing_ok=True)
        raise
    partial.replace(path)
