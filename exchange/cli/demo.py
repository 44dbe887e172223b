"""`exchange demo`: the whole path against a running server, step by step, readable."""

from pathlib import Path
from typing import Any

import httpx
from rich.markup import escape

from exchange.cli.access import download
from exchange.cli.log import SUFFIX, verify
from exchange.cli.offerings import upload
from exchange.cli.output import out, print_said, print_table, session
from exchange.cli.session import Refusal, Session
from exchange.cli.world import TERMS, World, register, write_dataset

PURPOSE, OTHER_PURPOSE = "logistics_planning", "credit_assessment"


class Steps:
    """Numbers the steps as they are played."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, who: str, what: str) -> None:
        """Announce the next step."""
        self._count += 1
        out.print(f"\n[bold]{self._count}. {who}[/] {what}")


def is_up(url: str) -> bool:
    """Whether an exchange answers at `url` and is ready."""
    try:
        return httpx.get(url + "/readyz", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def play(world: World, operator: Path, lang: str) -> list[Path]:
    """Play the path up to the auditor's verification; return the receipts' files."""
    step = Steps()
    step("The operator", "registers three organisations by their public keys.")
    register(world, operator)
    for name, profile in world.profiles().items():
        out.print(f"  {name:<9} {profile.organisation_id}  client {profile.client_id}")

    step("The platform", "publishes a real data set.")
    rows = write_dataset(world.dataset)
    out.print(f"  {world.dataset}: {rows:,} flights, {world.dataset.stat().st_size:,} bytes")
    with session(world.platform, lang) as platform:
        offering = _publish(platform, world.dataset)
    out.print(f"  {offering['id']} version {offering['version']}: {_title(offering, lang)}")
    out.print(f"  sha256 {offering['objects'][0]['sha256']}")

    with session(world.sme, lang) as sme:
        step("The SME", "authenticates by OAuth: client_credentials with private_key_jwt.")
        sme.token()
        out.print(f"  client {sme.profile.client_id} has a token for five minutes")

        step("The SME", f"asks for access, for the purpose {PURPOSE}.")
        answer = _ask(sme, offering["id"], PURPOSE)
        grant = answer["grant"]
        out.print(f"  [green]permitted[/]: {grant['id']} until {grant['ends_at']}")
        out.print(f"  entry {grant['status_index']} of the log holds it", style="dim")

        step("The SME", "downloads under the grant.")
        for path, item in download(sme, grant["id"], world.downloads):
            out.print(f"  {path}: {item['bytes']:,} bytes, sha256 as published [green]✓[/]")
        _look_into(world.downloads / "flights.parquet")

        step("The SME", f"asks again, for another purpose: {OTHER_PURPOSE}.")
        refused = _refused(sme, offering["id"], OTHER_PURPOSE)
        out.print("  [red]refused[/], and why, and what would make it a yes:")
        print_said(out, refused)

    step("The auditor", "lists the log and takes the receipts.")
    with session(world.auditor, lang) as auditor:
        return _audit(auditor, world.receipts)


def verify_offline(receipts: list[Path], log_key: Path) -> None:
    """Verify the receipts with nothing but the files and the log's key."""
    out.print(f"  exchange verify {receipts[0].parent}/*{SUFFIX} --log-key {log_key}", style="dim")
    verify(receipts, str(log_key), None, quiet=True)


def _publish(platform: Session, dataset: Path) -> dict[str, Any]:
    """Publish the sample offering, unless this platform has done so."""
    mine = platform.profile.organisation_id
    for known in platform.pages("/v1/offerings"):
        if known["provider_id"] == mine and known["status"] == "published":
            out.print("  published before", style="dim")
            return dict(known)
    upload(platform, dataset, dataset.name)
    draft = platform.post("/v1/offerings", TERMS)
    return dict(platform.post(f"/v1/offerings/{draft['id']}/publish"))


def _ask(sme: Session, offering: str, purpose: str) -> dict[str, Any]:
    body = {"offering_id": offering, "purpose": purpose, "actions": ["read"], "days": 30}
    return dict(sme.post("/v1/access-requests", body))


def _refused(sme: Session, offering: str, purpose: str) -> dict[str, Any]:
    """Ask for what will be refused; anything else than a refusal by policy is an error."""
    try:
        answer = _ask(sme, offering, purpose)
    except Refusal as refusal:
        if "access_request" not in refusal.document:
            raise
        return dict(refusal.document["access_request"])
    raise RuntimeError(f"expected a refusal, got {answer['status']}")


def _look_into(path: Path) -> None:
    """Read what arrived: three carriers by flights, with their mean delay."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path, columns=["carrier", "dep_delay"])
    by_carrier = table.group_by("carrier").aggregate([("dep_delay", "mean"), ("carrier", "count")])
    top = by_carrier.sort_by([("carrier_count", "descending")]).slice(0, 3).to_pylist()
    shown = ", ".join(
        f"{row['carrier']} {row['carrier_count']:,} ({row['dep_delay_mean']:.1f} min)"
        for row in top
    )
    out.print(f"  {table.num_rows:,} flights read; most by (mean delay): {shown}")


def _audit(auditor: Session, folder: Path) -> list[Path]:
    leaves = list(auditor.pages("/v1/log/entries"))
    print_table(
        ("", "", "", ""),
        [
            (x["index"], x["time"][11:19], x["type"].removeprefix("exchange."), x["subject"])
            for x in leaves[-12:]
        ],
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for leaf in leaves:
        path = folder / f"{leaf['index']:06d}-{leaf['type'].removeprefix('exchange.')}{SUFFIX}"
        text = auditor.request("GET", f"/v1/receipts/{leaf['event_id']}").text
        path.write_text(text, "utf-8")
        files.append(path)
    out.print(f"  {len(leaves)} entries; their receipts are in {escape(str(folder))}")
    return files


def _title(offering: dict[str, Any], lang: str) -> str:
    return str(offering["title_zh" if lang == "zh" else "title_en"])
