"""Tessera's fsck judges what a real exchange serves: 70,001 entries written through its ledger."""

import asyncio

import httpx
import pytest

from exchange.formats import tiles
from exchange.formats.note import Signer
from tests.support import actors
from tests.support.fsck import run_fsck
from tests.support.judge import judge_log
from tests.support.ledgers import OwnDatabase, entries, open_exchange, plain
from tests.support.server import ExchangeServer
from tests.support.static_log import build_log, download

SIZE = 70_001
KINDS = [
    pytest.param("sqlite", marks=pytest.mark.sqlite),
    pytest.param("postgres", marks=pytest.mark.postgres),
]


@pytest.fixture(scope="module", params=KINDS)
def database(request, tmp_path_factory):
    """A database whose log holds 70,001 entries when an auditor and an SME have joined."""
    database = OwnDatabase(request.param, tmp_path_factory.mktemp("fsck") / "state")
    asyncio.run(fill(database))
    yield database
    database.remove()


async def fill(database):
    async with open_exchange(database) as parts:
        joining = 6  # two organisations, each with a client; an engagement, the first read under it
        while (missing := SIZE - joining - await parts.ledger.size()) > 0:
            await parts.ledger.commit(entries(parts.ledger, min(missing, 1777)))


@pytest.fixture(scope="module")
def served(database):
    """The running exchange, the judge of its rows, and an auditor's token."""
    with ExchangeServer(database.state, database_url=plain(database.url)) as server:
        operator = actors.operator(database.state)
        auditor = actors.join(operator, "auditor", ["auditor"])
        sme = actors.join(operator, "sme", ["sme"])
        # Its first read of bundles is a leaf, and the log is to stand still while it is judged.
        auditor.request("GET", "/log/tile/entries/000")
        yield Served(database, server.url + "/log/", auditor.token(), sme.token())


class Served:
    """The log below `url`, and what a judge should find there."""

    def __init__(self, database, url, token, other_token):
        self.database, self.url = database, url
        self.token, self.other_token = token, other_token
        self.judged = judge_log(database.sql)
        assert self.judged.size == SIZE
        key = (database.state / "keys" / "log.key").read_text().strip()
        self.signer = Signer.parse(key)

    def fsck(self, **options):
        known = {"size": SIZE, "root": self.judged.root, "bearer_token": self.token}
        return run_fsck(self.url, self.signer.vkey, **known | options)

    def flipped(self, table, column, where, at):
        """Flip a bit in the database; call what is returned to mend it."""
        ((data,),) = self.database.sql(f"SELECT {column} FROM {table} WHERE {where}")
        text = isinstance(data, str)
        changed = bytearray(data.encode() if text else data)
        changed[at] ^= 1
        update = f"UPDATE {table} SET {column} = ? WHERE {where}"
        self.database.sql(update, changed.decode() if text else bytes(changed))
        return lambda: self.database.sql(update, data if text else bytes(data))


def test_the_log_is_whole(served):
    verdict = served.fsck()
    assert verdict.passed, verdict


def test_every_path_has_the_bytes_that_the_formats_give(served):
    expected = build_log(served.judged.entries, served.signer)
    assert download(served.url, SIZE, bearer_token=served.token) == expected.files


def test_partial_tiles_of_every_size_are_served_and_nothing_beyond(served):
    with httpx.Client(base_url=served.url) as http:
        full = http.get(tiles.tile_path(0, 272)).content
        for width in (1, 2, 100, 255):
            assert http.get(tiles.tile_path(0, 272, width)).content == full[: 32 * width]
        edge = http.get(tiles.tile_path(0, 273, 113)).content
        for width in (1, 112):
            assert http.get(tiles.tile_path(0, 273, width)).content == edge[: 32 * width]
        for tile in ((0, 273, 114), (0, 274, 1), (0, 273), (1, 1, 18), (2, 0, 2), (3, 0, 1)):
            assert http.get(tiles.tile_path(*tile)).status_code == 404, tile


def test_bundles_want_an_auditors_token(served):
    assert not served.fsck(bearer_token="").passed
    for token in ("", "x"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = httpx.get(served.url + "tile/entries/000", headers=headers)
        assert answer.status_code == 401
    headers = {"Authorization": f"Bearer {served.other_token}"}
    assert httpx.get(served.url + "tile/entries/000", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("table", "column", "where", "at"),
    [
        pytest.param("tiles", "hashes", "level = 0 AND tile_index = 100", 4000, id="a tile"),
        pytest.param("entries", "entry", "leaf_index = 25700", -3, id="an entry"),
        pytest.param("log_state", "note", "size > 0", -20, id="the checkpoint"),
    ],
)
def test_a_flipped_bit_does_not_pass(served, table, column, where, at):
    mend = served.flipped(table, column, where, at)
    try:
        verdict = served.fsck(timeout_seconds=20)
        assert not verdict.passed, verdict
    finally:
        mend()


def test_mended_it_passes_again(served):
    verdict = served.fsck()
    assert verdict.passed, verdict
