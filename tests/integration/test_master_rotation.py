"""Master keys rotated and retired under load: every credential is the newest, wherever one asks."""

import contextlib
import secrets
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from exchange.client.session import Refusal, Session
from exchange.connections.rotate_master import Resealer, retire_master, rotate_master
from exchange.errors import Conflict, Unavailable
from tests.support.actors import join, operator
from tests.support.connections import PLANTED, Platform, header
from tests.support.desk import operator as operator_of
from tests.support.infra import postgres_server
from tests.support.race import ROUNDS, Pace
from tests.support.server import ExchangeServer

CONNECTIONS, TURNS, ROTATIONS = 5, 8, 3


async def test_replace_and_rotate(place):
    """On one worker a credential is replaced while another rotates, seals anew and retires."""
    _, here, there = place
    platform, pace = Platform(there.parts, there.platform), Pace()
    made = await platform.service(header())
    desk = here.parts.connection_desk
    chain = (desk.ledger, desk.store, desk.vault)

    async def change_keys():
        await rotate_master(*chain, operator_of(here.parts))
        await Resealer(*chain).run()
        with contextlib.suppress(Conflict):
            await retire_master(*chain, operator_of(here.parts))

    for number in range(ROUNDS):
        secret = f"{PLANTED}-{number}"
        results = await pace.at_once(change_keys(), platform.replace(made.id, header(secret)))
        for failed in [each for each in results if isinstance(each, Exception)]:
            assert isinstance(failed, Unavailable), failed
        if isinstance(results[1], Unavailable):
            await platform.replace(made.id, header(secret))
        for parts in (here.parts, there.parts):
            opened = await parts.connections.connection(there.platform.org_id, made.id)
            assert opened.secret["value"] == secret


class Service(BaseHTTPRequestHandler):
    """Lets in who brings the newest secret of the path."""

    newest: ClassVar[dict[str, str]] = {}

    def do_HEAD(self) -> None:
        known = self.headers.get("Authorization") == f"Bearer {self.newest[self.path]}"
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def patiently(call):
    """Do it again while the exchange says that it is busy; it must not stay so."""
    for _ in range(40):
        try:
            return call()
        except Refusal as refusal:
            if refusal.status != 503:
                raise
            time.sleep(0.05)
    raise AssertionError("busy for 40 tries")


@contextlib.contextmanager
def two_workers(folder: Path):
    """An exchange of two workers on PostgreSQL; both import everything before it is ready."""
    postgres, name = postgres_server(), f"exchange_{secrets.token_hex(6)}"
    settings = {"workers": 2, "upstream_allow": "127.0.0.1", "sweep_seconds": "0.1"}
    url = postgres.create_database(name)
    server = ExchangeServer(folder / "state", database_url=url, **settings)
    try:
        yield server.start(wait=120)
    finally:
        server.stop()
        postgres.drop_database(name)


@pytest.mark.postgres
def test_two_workers_under_load(service, tmp_path: Path):
    """Over HTTP: whichever worker answers, what was put is what is sent, from then on."""
    with two_workers(tmp_path) as server:
        by = operator(server.state)
        platform = join(by, "Mill", ["platform"])
        done, said, rotations = threading.Event(), Counter(), Counter()

        def use(number: int) -> None:
            me, path = Session(platform.profile), f"/{number}"
            url = f"http://127.0.0.1:{service}{path}"
            Service.newest[path] = "first-secret"
            credential = {"kind": "bearer", "token": "first-secret"}
            body = {"kind": "http", "name": path, "url": url, "credential": credential}
            made = f"/v1/connections/{patiently(lambda: me.post('/v1/connections', body))['id']}"
            for turn in range(TURNS):
                secret = Service.newest[path] = f"secret-{number}-{turn}"
                given = {"credential": {"kind": "bearer", "token": secret}}
                patiently(lambda given=given: me.put(f"{made}/credential", given))
                for _ in range(3):
                    said[patiently(lambda: me.post(f"{made}/check"))["code"]] += 1

        def change_keys() -> None:
            me = Session(by.profile)
            while not done.is_set() or rotations["retired"] < ROTATIONS:
                patiently(lambda: me.post("/v1/keys/master/rotate"))
                rotations["rotated"] += 1
                for _ in range(100):
                    try:
                        patiently(lambda: me.post("/v1/keys/master/retire"))
                        rotations["retired"] += 1
                        break
                    except Refusal as refusal:
                        rotations[refusal.code] += 1
                        time.sleep(0.02)

        with ThreadPoolExecutor(CONNECTIONS + 1) as pool:
            work = [pool.submit(use, number) for number in range(CONNECTIONS)]
            keys = pool.submit(change_keys)
            try:
                for each in work:
                    each.result()
            finally:
                done.set()
            keys.result()
        assert said == {"reachable": CONNECTIONS * TURNS * 3}
        assert set(rotations) <= {"rotated", "retired", "master_key_needed"}, rotations
        assert "credential_unreadable" not in server.log()
        assert "unexpected_error" not in server.log()
        print(said, rotations)
