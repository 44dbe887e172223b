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
from exchange.cli.life import renew
from exchange.cli.output import out, plain
from exchange.cli.transfer import upload
from exchange.cli.usage import print_days, print_usage
from exchange.cli.world import TERMS, World, write_table
from exchange.client import calls
from exchange.client.session import Refusal, Session

NAME = "Statistics of flights"
CALLS = 3
QUESTIONS = ("carrier", "origin", "month")
SERVICE: dict[str, Any] = TERMS | {
    "kind": "compute",
    "title_en": "Statistics of flights from New York, 2013",
    "title_zh": "2013年纽约出港航班统计",
    "limits": {"calls": CALLS},
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


def offer(platform: Session, world: World, service: Service) -> dict[str, Any] | None:
    """Offer the service, three calls a grant; None where this exchange may not reach it."""
    try:
        connection = _connect(platform, world, service)
    except Refusal as refusal:
        if refusal.code != "upstream_address_not_allowed":
            raise
        out.print(
            plain(
                f"  this exchange may not reach {service.address} (EXCHANGE_UPSTREAM_ALLOW), so "
                "no call is played"
            ),
            style="dim",
        )
        return None
    out.print(plain(f"  {connection['id']}: {connection['url']}, its credential sealed"))
    source = {"connector": "http", "connection": connection["id"], "allow": list(RULES)}
    offering = _published(platform, SERVICE | {"source": source})
    allowed = ", ".join(RULES)
    out.print(plain(f"  {offering['id']}: {CALLS} calls a grant, of {allowed}"))
    return offering


def use_up(sme: Session, offering: Mapping[str, Any]) -> str:
    """Call until the calls are used up; return the grant."""
    grant = _ask(sme, offering, "call")
    for number in range(2 * CALLS):
        by = QUESTIONS[number % len(QUESTIONS)]
        try:
            _call(sme, grant, by)
        except Refusal as refusal:
            out.print(f"  [red]refused[/]: {plain(refusal.document['detail'])}")
            out.print(f"  → {plain(refusal.document['hint'])}")
            return grant
    raise RuntimeError("expected the calls to be used up")


def follow_the_remedy(sme: Session, grant: str) -> None:
    """Renew the grant, which brings new calls, and take one."""
    renew(sme, grant, 60)
    _call(sme, grant, QUESTIONS[0])


def cut(platform: Session, sme: Session, world: World) -> None:
    """Revoke a grant while its download runs; say how soon that ended, and what is told of it."""
    path = write_table(world)
    offering = _published(platform, TABLE, path)
    grant = _ask(sme, offering, "read")
    (item,) = offering["objects"]
    got, revoked = 0, 0.0
    url = f"/gateway/grants/{grant}/files/{item['name']}"
    try:
        with sme.stream(url, scope=f"grant:{grant}") as answer:
            for piece in answer.iter_raw(MIB):
                got += len(piece)
                if not revoked:
                    body = {"reason": "no_longer_offered", "text": "The table is being replaced."}
                    platform.post(f"/v1/grants/{grant}/revoke", body)
                    revoked = time.monotonic()
    except httpx.HTTPError:
        waited = (time.monotonic() - revoked) * 1000
        told = f"{got:,} of {item['bytes']:,} bytes, {waited:.0f} ms after the revocation"
        out.print(f"  the line is [red]cut[/]: {plain(told)}")
    else:
        raise RuntimeError("expected the download to be cut")
    why = sme.get(f"/v1/grants/{grant}")["revocation"]
    out.print(plain(f"  {grant} was revoked: {why['reason_text']} {why['text']}"))


def tell(who: Mapping[str, Session], grant: str | None) -> None:
    """Say what each side sees of the use of a grant, and by day."""
    if grant is not None:
        print_usage(who["sme"].get(f"/v1/grants/{grant}/usage"), "  the SME: ")
    for name, by in (("platform", "offering"), ("auditor", "consumer")):
        out.print(f"  the {name}, by {by}:")
        print_days(list(who[name].pages("/v1/usage", by=by)), by, "    ")


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


def _ask(sme: Session, offering: Mapping[str, Any], action: str) -> str:
    body = {"offering_id": offering["id"], "purpose": PURPOSE, "actions": [action], "days": 30}
    grant = sme.post("/v1/access-requests", body)["grant"]
    out.print(f"  [green]permitted[/]: {plain(grant['id'])}")
    return str(grant["id"])


def _call(sme: Session, grant: str, by: str) -> None:
    answer = sme.run(calls.call(sme.core, grant, "stats/delays", params={"by": by}))
    rows = sorted(answer.json()["rows"], key=lambda row: -row["flights"])
    shown = json.dumps(rows[0])
    out.print(plain(f"  GET stats/delays?by={by}: {len(rows)} rows, the most flights {shown}"))
