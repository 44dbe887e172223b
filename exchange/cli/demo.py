"""The whole path against a running server, step by step, readable: `exchange demo` and `run`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from exchange.cli import life, using
from exchange.cli.audit import audit_verify
from exchange.cli.grants import keep_receipt
from exchange.cli.log import read_log_key
from exchange.cli.output import out, plain, print_said, print_table
from exchange.cli.transfer import download, upload
from exchange.cli.verify import check, print_refused, print_total
from exchange.cli.world import (
    APPROVERS,
    BY_APPROVAL,
    SANDBOX,
    TERMS,
    WITHDRAWN,
    World,
    register,
    set_aside,
    write_dataset,
    write_sample,
)
from exchange.client.profile import read_profile
from exchange.client.session import Refusal, Session
from exchange.formats.note import Verifier
from exchange.formats.receipt import SUFFIX

PURPOSE, OTHER_PURPOSE = "logistics_planning", "credit_assessment"
SHOWN = 12
NEWEST = 200


class Steps:
    """Numbers the steps as they are played."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, who: str, what: str) -> None:
        """Announce the next step."""
        self._count += 1
        out.print(f"\n[bold]{self._count}. {who}[/] {what}")


def play(
    step: Steps, world: World, operator: Path, url: str, lang: str, service: using.Service
) -> None:
    """Play the path up to the auditor's receipts, at the exchange whose URL this is.

    Raises what sessions raise; the operator's profile may name an address that the exchange left.
    """
    step("The operator", "registers three organisations, and invites two people of the platform.")
    with _opened(operator, url=url) as me:
        aside = set_aside(world, read_log_key(me))
        if aside is not None:
            out.print(f"  {plain(world.folder)} belonged to another exchange: see {plain(aside)}")
        known = register(world, me) | life.invite(world, me)
        engaged = life.engage(world, me)
    for name, profile in world.profiles().items():
        ids = f"{profile.organisation_id}  client {profile.client_id}"
        out.print(f"  {name:<12} {plain(ids)}" + _before(name in known))
    out.print(plain(f"  the auditor is engaged for the whole log until {engaged}"), style="dim")

    step("The platform", "publishes a real data set, under terms of three kinds, and rows to try.")
    rows = write_dataset(world.dataset)
    size = world.dataset.stat().st_size
    out.print(plain(f"  {world.dataset}: {rows:,} flights, {size:,} bytes"))
    with ExitStack() as stack:
        platform, sme, *approvers = [
            stack.enter_context(_opened(world.profile(name), lang))
            for name in ("platform", "sme", *APPROVERS)
        ]
        offering, by_approval, withdrawn, _ = _publish(platform, world, lang)
        _take_part(step, sme, offering["id"], world)
        _go_on(step, sme, approvers, by_approval)

        step("The platform", "withdraws an offering: its grants go on, no new one begins.")
        life.withdraw(platform, sme, withdrawn, world)

        auditor = stack.enter_context(_opened(world.auditor, lang))
        grant = _call(step, platform, sme, world, service)
        step("The platform", "revokes a grant while its download runs.")
        using.cut(platform, sme, world)
        step("Each side", "sees what was used, and what is left.")
        using.tell({"platform": platform, "sme": sme, "auditor": auditor}, grant)

    step("The auditor", "lists the log and takes the receipts.")
    with _opened(world.auditor, lang) as auditor:
        _audit(auditor, world.receipts)
    step("The auditor", "verifies the whole log: every entry, every tile, every root.")
    audit_verify(profile=world.auditor, state=world.log_state)


@contextmanager
def _opened(path: Path, lang: str = "en", url: str = "") -> Iterator[Session]:
    profile = read_profile(path)
    me = Session(replace(profile, url=url or profile.url), lang)
    try:
        yield me
    finally:
        me.close()


def _before(known: bool) -> str:
    return "  [dim](as before)[/]" if known else ""


def _publish(platform: Session, world: World, lang: str) -> list[dict[str, Any]]:
    """Publish the sample offerings, unless this platform has done so."""
    mine = platform.profile.organisation_id
    listed = [o for o in platform.pages("/v1/offerings") if o["provider_id"] == mine]
    found: list[dict[str, Any]] = []
    wanted = (
        (TERMS, world.dataset),
        (BY_APPROVAL, None),
        (WITHDRAWN, None),
        (SANDBOX, write_sample(world)),
    )
    for terms, file in wanted:
        kept = ("published", "withdrawn") if terms is WITHDRAWN else ("published",)
        known = [o for o in listed if o["title_en"] == terms["title_en"] and o["status"] in kept]
        if known:
            offering = dict(known[0])
        else:
            if file is not None:
                upload(platform, file, file.name)
            draft = platform.post("/v1/offerings", terms)
            offering = dict(platform.post(f"/v1/offerings/{draft['id']}/publish"))
        found.append(offering)
        title = offering["title_zh" if lang == "zh" else "title_en"]
        shown = plain(f"  {offering['id']} version {offering['version']}: {title}")
        out.print(shown + _before(bool(known)))
    out.print(plain(f"  sha256 {found[0]['objects'][0]['sha256']}"))
    return found


def _go_on(
    step: Steps, sme: Session, approvers: list[Session], by_approval: dict[str, Any]
) -> None:
    step("The SME", "asks for what people approve: a form filled in, terms accepted.")
    asked = life.ask(sme, by_approval)
    waits = asked["waiting"]
    if waits is not None:
        until = f"{waits['for']} has it since {waits['since'][:10]} until {waits['until'][:10]}"
        out.print(plain(f"  {asked['id']}: {until}; {waits['approvers']} people must approve"))
    else:
        out.print(plain(f"  {asked['id']}") + _before(known=True))
    step("The platform", "asks back, the SME answers, and two people approve.")
    settled = life.settle(sme, approvers, asked)
    grant = settled["grant"]
    out.print(f"  [green]{plain(settled['status'])}[/]: {plain(grant['id'])}")
    out.print(plain(f"  it names the accepted terms: {grant['terms_digest']}"), style="dim")


def _call(
    step: Steps, platform: Session, sme: Session, world: World, service: using.Service
) -> str | None:
    step("The platform", f"offers a service of its own: {using.CALLS} calls a grant.")
    offering = using.offer(platform, world, service)
    if offering is None:
        return None
    step("The SME", "calls it until its calls are used up.")
    grant = using.use_up(sme, offering)
    step("The SME", "follows the remedy: it renews the grant, and calls again.")
    using.follow_the_remedy(sme, grant)
    return grant


def _take_part(step: Steps, sme: Session, offering: str, world: World) -> None:
    step("The SME", "authenticates by OAuth: client_credentials with private_key_jwt.")
    sme.token()
    out.print(f"  client {plain(sme.profile.client_id)} has a token for five minutes")

    step("The SME", f"asks for access, for the purpose {PURPOSE}.")
    answer = _ask(sme, offering, PURPOSE)
    grant = answer["grant"]
    out.print(f"  [green]permitted[/]: {plain(grant['id'])} until {plain(grant['ends_at'])}")
    keep_receipt(world.grant_receipt, answer)
    entry = f"  entry {grant['status_index']} of the log holds it: {world.grant_receipt}"
    out.print(plain(entry), style="dim")

    step("The SME", "downloads under the grant.")
    for path, item in download(sme, grant["id"], world.downloads):
        out.print(plain(f"  {path}: {item['bytes']:,} bytes, sha256 as published ") + "[green]✓[/]")
    _look_into(world.downloads / world.dataset.name)

    step("The SME", f"asks again, for another purpose: {OTHER_PURPOSE}.")
    refused = _refused(sme, offering, OTHER_PURPOSE)
    out.print("  [red]refused[/], and why, and what would make it a yes:")
    print_said(out, refused)

    step("The SME", f"follows the remedy, and asks for {life.PURPOSE}.")
    answer = _ask(sme, offering, life.PURPOSE)
    out.print(f"  [green]permitted[/]: {plain(answer['grant']['id'])}")

    step("The SME", "renews its first grant before it ends.")
    life.renew(sme, grant["id"], 60)


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


def _audit(auditor: Session, folder: Path) -> None:
    """List the newest entries, and take the receipts that the folder lacks."""
    size = int(auditor.text("/log/checkpoint").split("\n")[1])
    leaves = list(auditor.pages("/v1/log/entries", start=max(0, size - NEWEST)))
    kinds = [leaf["type"].removeprefix("exchange.") for leaf in leaves]
    rows = [
        (leaf["index"], leaf["time"][11:19], kind, leaf["subject"])
        for leaf, kind in zip(leaves, kinds, strict=True)
    ]
    print_table(("", "", "", ""), rows[-SHOWN:], indent="  ")
    folder.mkdir(parents=True, exist_ok=True)
    for leaf, kind in zip(leaves, kinds, strict=True):
        path = folder / f"{leaf['index']:06d}-{kind}{SUFFIX}"
        if not path.exists():
            partial = path.with_suffix(".part")
            text = auditor.request("GET", f"/v1/receipts/{leaf['event_id']}").text
            partial.write_text(text, "utf-8")
            partial.replace(path)
    out.print(plain(f"  the newest of {size} entries; all their receipts are in {folder}"))


def verification(world: World) -> str:
    """Return how the receipts are verified by hand."""
    files = f"{world.receipts}/*{SUFFIX} {world.grant_receipt}"
    return f"verify {files} --log-key {world.log_key}"


def verify_offline(world: World) -> None:
    """Verify every receipt with nothing but the files and the log's key; exits with 1 on a bad one.

    That is `exchange verify`, with fewer lines.
    """
    out.print(plain(f"  exchange {verification(world)}"), style="dim")
    verifier = Verifier.parse(world.log_key.read_text("utf-8").strip())
    files = [*sorted(world.receipts.glob(f"*{SUFFIX}")), world.grant_receipt]
    refused = 0
    for place, (path, verdict) in enumerate(check(files, verifier)):
        if isinstance(verdict, str):
            refused += 1
            print_refused(path, verdict)
        elif place >= len(files) - SHOWN:
            entry = f"entry {verdict.index} of {verdict.checkpoint.size}"
            out.print(f"  [green]✓[/] {plain(path)}  [dim]{entry}[/]")
    print_total(len(files), refused, verifier)
