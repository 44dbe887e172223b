"""The sample path's third part: a service called, a download cut, and what each side sees."""

import json
import secrets
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import httpx

from exchange.cli.flights_service import KEY_HEADER, RULES, serving
from exchange.cli.output import out, plain
from exchange.cli.transfer import upload
from exchange.cli.usage import print_days, print_usage
from exchange.cli.words import Words
from exchange.cli.world import TERMS, World, write_table
from exchange.client import calls
from exchange.client.session import Refusal, Session

NAME = "Statistics of flights"
CALLS = 3
RENEWED_DAYS = 60
QUESTIONS = ("carrier", "origin", "month")
SERVICE: dict[str, Any] = TERMS | {
    "kind": "compute",
    "title_en": "Statistics of flights from New York, 2013, by calls",
    "title_zh": "2013年纽约出港航班统计（按次调用）",
    "limits": {"calls": CALLS},
    "approval": "provider",  # so that a renewal brings new calls at once: somebody said yes
}
TABLE: dict[str, Any] = TERMS | {
    "title_en": "Flights from New York, 2013, as CSV",
    "title_zh": "2013年纽约出港航班（CSV）",
    "source": {"connector": "files", "path": "flights.csv"},
}
PURPOSE = "logistics_planning"
MIB = 1024 * 1024


class Service:
    """The platform's service, on a port of this machine that is taken from the start."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self, world: World, key: str) -> str:
        """Serve the data set that the platform has written; return the URL."""
        log = world.folder / "platform" / "calls.jsonl"
        return self._open.enter_context(serving(world.dataset, key, log, self._listener))

    def close(self) -> None:
        """Stop."""
        self._open.close()


def offer(say: Words, platform: Session, world: World, service: Service) -> dict[str, Any] | None:
    """Offer the service, three calls a grant; None where this exchange may not reach it."""
    try:
        connection = _connect(platform, world, service)
    except Refusal as refusal:
        if refusal.code != "upstream_address_not_allowed":
            raise
        say.line(
            "this exchange may not reach %(address)s (EXCHANGE_UPSTREAM_ALLOW), "
            "so no call is played",
            style="dim",
            address=service.address,
        )
        return None
    say.line(
        "%(connection)s: %(url)s, its credential sealed",
        connection=connection["id"],
        url=connection["url"],
    )
    source = {"connector": "http", "connection": connection["id"], "allow": list(RULES)}
    offering = _published(platform, SERVICE | {"source": source})
    say.line(
        "%(offering)s: %(calls)s calls a grant, of %(allowed)s",
        offering=offering["id"],
        calls=CALLS,
        allowed=", ".join(RULES),
    )
    return offering


def use_up(say: Words, sme: Session, approver: Session, offering: Mapping[str, Any]) -> str:
    """Call until the calls are used up; return the grant."""
    grant = _ask(say, sme, offering, "call", approver)
    for number in range(2 * CALLS):
        by = QUESTIONS[number % len(QUESTIONS)]
        try:
            _call(say, sme, grant, by)
        except Refusal as refusal:
            if refusal.code != "calls_exhausted":
                raise
            say.line("[red]refused[/]: %(why)s", why=refusal.detail)
            for remedy in refusal.remedies:
                out.print(plain(f"  → {remedy.text}"))
            return grant
    raise RuntimeError("expected the calls to be used up")


def follow_the_remedy(say: Words, sme: Session, approver: Session, grant: str) -> None:
    """Renew the grant, which brings new calls once a person has approved it, and take one."""
    asked = sme.post(f"/v1/grants/{grant}/renew", {"days": RENEWED_DAYS})
    _approved(say, approver, asked)
    _call(say, sme, grant, QUESTIONS[0])


def cut(say: Words, platform: Session, sme: Session, world: World) -> None:
    """Revoke a grant while its download runs; say how soon that ended, and what is told of it."""
    path = write_table(world)
    offering = _published(platform, TABLE, path)
    grant = _ask(say, sme, offering, "read")
    (item,) = offering["objects"]
    got, revoked = 0, 0.0
    url = f"/gateway/grants/{grant}/files/{item['name']}"
    try:
        with sme.stream(url, scope=f"grant:{grant}") as answer:
            for piece in answer.iter_raw(MIB):
                got += len(piece)
                if not revoked:
                    text = say("The table is being replaced.")
                    body = {"reason": "no_longer_offered", "text": text}
                    platform.post(f"/v1/grants/{grant}/revoke", body)
                    revoked = time.monotonic()
    except httpx.HTTPError:
        waited = (time.monotonic() - revoked) * 1000
        say.line(
            "the line is [red]cut[/]: %(got)s of %(bytes)s bytes, %(milliseconds)s ms after the "
            "revocation",
            got=f"{got:,}",
            bytes=f"{item['bytes']:,}",
            milliseconds=f"{waited:.0f}",
        )
    else:
        raise RuntimeError("expected the download to be cut")
    why = sme.get(f"/v1/grants/{grant}")["revocation"]
    told = f"{why['reason_text']} {why['text']}"
    say.line("%(grant)s was revoked: %(why)s", grant=grant, why=told)


def tell(say: Words, who: Mapping[str, Session], grant: str | None) -> None:
    """Say what each side sees of the use of a grant, and by day."""
    if grant is not None:
        used = who["sme"].get(f"/v1/grants/{grant}/usage")
        print_usage(used, f"  {say('the SME: ')}", say)
    say.line("the platform, by offering:")
    print_days(list(who["platform"].pages("/v1/usage", by="offering")), "offering", "    ", say)
    say.line("the auditor, by consumer:")
    print_days(list(who["auditor"].pages("/v1/usage", by="consumer")), "consumer", "    ", say)


def _connect(platform: Session, world: World, service: Service) -> dict[str, Any]:
    """Return the connection to the service, started unless the one that is known works."""
    known = next((c for c in platform.pages("/v1/connections") if c["name"] == NAME), None)
    if known is not None and platform.post(f"/v1/connections/{known['id']}/check")["works"]:
        return dict(known)
    key = secrets.token_urlsafe(24)
    body = {
        "name": NAME,
        "url": service.start(world, key),
        "credential": {"kind": "header", "name": KEY_HEADER, "value": key},
    }
    if known is not None:
        return dict(platform.put(f"/v1/connections/{known['id']}", body))
    return dict(platform.post("/v1/connections", {"kind": "http", **body}))


def _published(platform: Session, terms: Mapping[str, Any], file: Any = None) -> dict[str, Any]:
    """Publish an offering of these terms, unless the platform has one."""
    mine = platform.profile.organisation_id
    for known in platform.pages("/v1/offerings"):
        names = (known["provider_id"], known["title_en"], known["status"])
        if names == (mine, terms["title_en"], "published"):
            return dict(known)
    if file is not None:
        upload(platform, file, file.name)
    draft = platform.post("/v1/offerings", dict(terms))
    return dict(platform.post(f"/v1/offerings/{draft['id']}/publish"))


def _ask(
    say: Words,
    sme: Session,
    offering: Mapping[str, Any],
    action: str,
    approver: Session | None = None,
) -> str:
    body = {"offering_id": offering["id"], "purpose": PURPOSE, "actions": [action], "days": 30}
    asked = sme.post("/v1/access-requests", body)
    if asked["waiting"] is not None and approver is not None:
        asked = _approved(say, approver, asked)
    say.line("[green]permitted[/]: %(grant)s", grant=asked["grant"]["id"])
    return str(asked["grant"]["id"])


def _approved(say: Words, approver: Session, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    path = f"/v1/access-requests/{asked['id']}/approve"
    done = approver.post(path, {"text": say("Approved.")})
    say.line("%(request)s: a person of the platform approves it", request=asked["id"])
    return dict(done)


def _call(say: Words, sme: Session, grant: str, by: str) -> None:
    answer = sme.run(calls.call(sme.core, grant, "stats/delays", params={"by": by}))
    rows = sorted(answer.json()["rows"], key=lambda row: -row["flights"])
    say.line(
        "GET stats/delays?by=%(by)s: %(rows)s rows, the most flights %(shown)s",
        by=by,
        rows=len(rows),
        shown=json.dumps(rows[0]),
    )
