"""The whole path against a running server, step by step, readable: `exchange demo` and `run`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from exchange.cli import life, using
from exchange.cli.grants import keep_receipt
from exchange.cli.log import read_log_key
from exchange.cli.output import out, plain, print_said, print_table
from exchange.cli.transfer import download, upload
from exchange.cli.verify import check, print_refused, print_total
from exchange.cli.verify_log import verify_log
from exchange.cli.words import Steps, Words
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


def play(step: Steps, world: World, operator: Path, url: str, service: using.Service) -> None:
    """Play the path up to the auditor's receipts, at the exchange whose URL this is.

    Raises what sessions raise; the operator's profile may name an address that the exchange left.
    """
    say, lang = step.say, step.say.lang
    step("The operator", "registers three organisations, and invites two people of the platform.")
    with _opened(operator, url=url) as me:
        aside = set_aside(world, read_log_key(me))
        if aside is not None:
            say.line(
                "%(folder)s belonged to another exchange: see %(aside)s",
                folder=world.folder,
                aside=aside,
            )
        known = register(world, me) | life.invite(world, me)
        engaged = life.engage(world, me)
    for name, profile in world.profiles().items():
        ids = say(
            "%(organisation)s  client %(client)s",
            organisation=profile.organisation_id,
            client=profile.client_id,
        )
        out.print(f"  {name:<12} {ids}" + _before(say, name in known))
    say.line("the auditor is engaged for the whole log until %(until)s", style="dim", until=engaged)

    step("The platform", "publishes a real data set, under terms of three kinds, and rows to try.")
    rows = write_dataset(world.dataset)
    say.line(
        "%(path)s: %(rows)s flights, %(bytes)s bytes",
        path=world.dataset,
        rows=f"{rows:,}",
        bytes=f"{world.dataset.stat().st_size:,}",
    )
    with ExitStack() as stack:
        platform, sme, *approvers = [
            stack.enter_context(_opened(world.profile(name), lang))
            for name in ("platform", "sme", *APPROVERS)
        ]
        offering, by_approval, withdrawn, _ = _publish(say, platform, world)
        _take_part(step, sme, offering["id"], world)
        _go_on(step, sme, approvers, by_approval)

        step("The platform", "withdraws an offering: its grants go on, no new one begins.")
        life.withdraw(say, platform, sme, withdrawn, world)

        auditor = stack.enter_context(_opened(world.auditor, lang))
        grant = _call(step, platform, sme, approvers[0], world, service)
        step("The platform", "revokes a grant while its download runs.")
        using.cut(say, platform, sme, world)
        step("Each side", "sees what was used, and what is left.")
        using.tell(say, {"platform": platform, "sme": sme, "auditor": auditor}, grant)

    step("The auditor", "lists the log and takes the receipts.")
    with _opened(world.auditor, lang) as auditor:
        _audit(say, auditor, world.receipts)
    step("The auditor", "verifies the whole log: every entry, every tile, every root.")
    verify_log(world.auditor, world.log_state, say=say)


@contextmanager
def _opened(path: Path, lang: str = "en", url: str = "") -> Iterator[Session]:
    profile = read_profile(path)
    me = Session(replace(profile, url=url or profile.url), lang)
    try:
        yield me
    finally:
        me.close()


def _before(say: Words, known: bool) -> str:
    return f"  [dim]{say('(as before)')}[/]" if known else ""


def _publish(say: Words, platform: Session, world: World) -> list[dict[str, Any]]:
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
        shown = say(
            "%(offering)s version %(version)s: %(title)s",
            offering=offering["id"],
            version=offering["version"],
            title=offering["title_zh" if say.lang == "zh" else "title_en"],
        )
        out.print(f"  {shown}" + _before(say, bool(known)))
    out.print(plain(f"  sha256 {found[0]['objects'][0]['sha256']}"))
    return found


def _go_on(
    step: Steps, sme: Session, approvers: list[Session], by_approval: dict[str, Any]
) -> None:
    say = step.say
    step("The SME", "asks for what people approve: a form filled in, terms accepted.")
    asked = life.ask(sme, by_approval)
    waits = asked["waiting"]
    if waits is not None:
        say.line(
            "%(request)s: %(who)s has it since %(since)s until %(until)s; "
            "%(approvers)s people must approve",
            request=asked["id"],
            who=waits["for"],
            since=waits["since"][:10],
            until=waits["until"][:10],
            approvers=waits["approvers"],
        )
    else:
        out.print(plain(f"  {asked['id']}") + _before(say, known=True))
    step("The platform", "asks back, the SME answers, and two people approve.")
    settled = life.settle(say, sme, approvers, asked)
    grant = settled["grant"]
    out.print(f"  [green]{plain(settled['status'])}[/]: {plain(grant['id'])}")
    digest = grant["terms_digest"]
    say.line("it names the accepted terms: %(digest)s", style="dim", digest=digest)


def _call(
    step: Steps,
    platform: Session,
    sme: Session,
    approver: Session,
    world: World,
    service: using.Service,
) -> str | None:
    say = step.say
    step("The platform", "offers a service of its own: %(calls)s calls a grant.", calls=using.CALLS)
    offering = using.offer(say, platform, world, service)
    if offering is None:
        return None
    step("The SME", "calls it until its calls are used up.")
    grant = using.use_up(say, sme, approver, offering)
    step("The SME", "follows the remedy: it renews the grant, and calls again.")
    using.follow_the_remedy(say, sme, approver, grant)
    return grant


def _take_part(step: Steps, sme: Session, offering: str, world: World) -> None:
    say = step.say
    step("The SME", "authenticates by OAuth: client_credentials with private_key_jwt.")
    sme.sign_in()
    say.line("client %(client)s has a token for five minutes", client=sme.profile.client_id)

    step("The SME", "asks for access, for the purpose %(purpose)s.", purpose=PURPOSE)
    answer = _ask(sme, offering, PURPOSE)
    grant = answer["grant"]
    say.line(
        "[green]permitted[/]: %(grant)s until %(until)s", grant=grant["id"], until=grant["ends_at"]
    )
    keep_receipt(world.grant_receipt, answer)
    say.line(
        "entry %(index)s of the log holds it: %(path)s",
        style="dim",
        index=grant["leaf_index"],
        path=world.grant_receipt,
    )

    step("The SME", "downloads under the grant.")
    for path, item in download(sme, grant["id"], world.downloads):
        say.line(
            "%(path)s: %(bytes)s bytes, sha256 as published [green]✓[/]",
            path=path,
            bytes=f"{item['bytes']:,}",
        )
    _look_into(say, world.downloads / world.dataset.name)

    step("The SME", "asks again, for another purpose: %(purpose)s.", purpose=OTHER_PURPOSE)
    refused = _refused(sme, offering, OTHER_PURPOSE)
    say.line("[red]refused[/], and why, and what would make it a yes:")
    print_said(out, refused)

    step("The SME", "follows the remedy, and asks for %(purpose)s.", purpose=life.PURPOSE)
    answer = _ask(sme, offering, life.PURPOSE)
    say.line("[green]permitted[/]: %(grant)s", grant=answer["grant"]["id"])

    step("The SME", "renews its first grant before it ends.")
    life.renew(say, sme, grant["id"], 60)


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


def _look_into(say: Words, path: Path) -> None:
    """Read what arrived: three carriers by flights, with their mean delay."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path, columns=["carrier", "dep_delay"])
    by_carrier = table.group_by("carrier").aggregate([("dep_delay", "mean"), ("carrier", "count")])
    top = by_carrier.sort_by([("carrier_count", "descending")]).slice(0, 3).to_pylist()
    shown = ", ".join(
        say(
            "%(carrier)s %(flights)s (%(minutes)s min)",
            carrier=row["carrier"],
            flights=f"{row['carrier_count']:,}",
            minutes=f"{row['dep_delay_mean']:.1f}",
        )
        for row in top
    )
    say.line(
        "%(rows)s flights read; most by (mean delay): %(carriers)s",
        rows=f"{table.num_rows:,}",
        carriers=shown,
    )


def _audit(say: Words, auditor: Session, folder: Path) -> None:
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
    say.line(
        "the newest of %(size)s entries; all their receipts are in %(folder)s",
        size=size,
        folder=folder,
    )


def verification(world: World) -> str:
    """Return how the receipts are verified by hand."""
    files = f"{world.receipts}/*{SUFFIX} {world.grant_receipt}"
    return f"verify {files} --log-key {world.log_key}"


def verify_offline(world: World, say: Words) -> None:
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
            entry = say(
                "entry %(index)s of %(size)s", index=verdict.index, size=verdict.checkpoint.size
            )
            out.print(f"  [green]✓[/] {plain(path)}  [dim]{entry}[/]")
    print_total(len(files), refused, verifier, say)
