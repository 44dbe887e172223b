"""The last units of a quota, wanted by many at once: who got one, judged by what was recorded.

Nobody may be refused for anything but that it is used up.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import httpx

from exchange.client.session import Session
from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator, publish
from tests.support.actors import publish_service as publish_calls
from tests.support.call_record import RecordingService
from tests.support.judge import judge
from tests.support.judge_uses import judge_uses
from tests.support.ledgers import OwnDatabase
from tests.support.server import ExchangeServer

CALLERS = 64
FILE_BYTES = 4096


async def rush(
    url: str, paths: Sequence[str], token: str, headers: Mapping[str, str] | None = None
) -> list[str]:
    """Ask for all paths at the same time, each by a connection of its own.

    Returns what each was told: ok, or the code of a refusal.
    """
    headers = {"Authorization": f"Bearer {token}", **(headers or {})}
    limits = httpx.Limits(max_connections=len(paths))
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http:
        answers = await asyncio.gather(*(http.get(url + path, headers=headers) for path in paths))
    return ["ok" if a.is_success else a.json()["type"].rpartition(":")[2] for a in answers]


class Edge:
    """A platform with a service and files at a running exchange; a new SME each time."""

    def __init__(
        self, server: ExchangeServer, database: OwnDatabase, service: RecordingService
    ) -> None:
        self.server, self.database, self.service = server, database, service
        self._by = operator(server.state)
        self.platform = join(self._by, "Platform", ["platform"], {"jurisdiction": "CN"})
        self._numbers = itertools.count()
        self._keep_files()

    async def calls(self, quota: int) -> None:
        """CALLERS calls, of which so many may go on; the service's record says which did."""
        limits = {"calls": quota}
        offering = publish_calls(self.platform, self.service.url, "GET /*", limits=limits)
        sme, grant = self._granted(offering, actions=["call"])
        paths = [f"call/quick/{next(self._numbers)}" for _ in range(CALLERS)]
        told = await self._rush(sme, grant, paths)
        given = min(quota, CALLERS)
        assert Counter(told) == _without_none(ok=given, calls_exhausted=CALLERS - given)
        reached = [each for each in self.service.reached() if each.grant_id == grant]
        assert len(reached) == given
        assert self._recorded(grant) == {each.use_id for each in reached}
        left = sme.get(f"/v1/grants/{grant}/usage")
        assert (left["uses"], left["sessions"]) == (given, 1)
        assert [each["left"] for each in left["allowances"]] == [quota - given]

    async def sessions(self, quota: int, objects: int = CALLERS) -> None:
        """CALLERS downloads of so many objects: a session each, of which so many may open.

        Whoever wants an object of an open session joins it.
        """
        source = {"connector": "files", "path": "many"}
        draft = self.platform.post(
            "/v1/offerings", TERMS | {"source": source} | {"max_sessions": quota}
        )
        offering = self.platform.post(f"/v1/offerings/{draft['id']}/publish")
        sme, grant = self._granted(offering)
        wanted = [n % objects for n in range(CALLERS)]
        told = await self._rush(sme, grant, [f"files/{n}.bin" for n in wanted])
        of_object = {n: {t for t, m in zip(told, wanted, strict=True) if m == n} for n in wanted}
        outcomes = Counter(code for codes in of_object.values() for code in codes)
        given = min(quota, objects)
        assert outcomes == _without_none(ok=given, sessions_exhausted=objects - given), outcomes
        assert len(self._recorded(grant)) == told.count("ok")
        left = sme.get(f"/v1/grants/{grant}/usage")
        assert left["sessions"] == given
        assert [each["left"] for each in left["allowances"]] == [quota - given]

    async def bytes(self, quota: int, each: int) -> None:
        """CALLERS ranges of so many bytes each."""
        offering = publish(
            self.platform, bytes(FILE_BYTES), file_name="edge.bin", limits={"bytes": quota}
        )
        sme, grant = self._granted(offering)
        ranged = {"Range": f"bytes=0-{each - 1}"}
        told = await self._rush(sme, grant, ["files/edge.bin"] * CALLERS, ranged)
        given = min(quota // each, CALLERS)
        assert Counter(told) == _without_none(ok=given, bytes_exhausted=CALLERS - given)
        assert len(self._recorded(grant)) == given
        left = sme.get(f"/v1/grants/{grant}/usage")
        assert [each["left"] for each in left["allowances"]] == [quota - given * each]

    async def one_of(self, chance: random.Random) -> str:
        """A round near some edge, and its name."""
        kind = chance.choice(("calls", "calls", "sessions", "bytes"))
        near = chance.choice(
            (1, 2, chance.randint(3, CALLERS - 3), *range(CALLERS - 2, CALLERS + 2))
        )
        if kind == "calls":
            await self.calls(near)
            return f"calls, {near} of {CALLERS}"
        if kind == "sessions":
            objects = chance.choice((CALLERS, chance.randint(2, CALLERS)))
            quota = max(1, chance.choice((near, objects - 1, objects)))
            await self.sessions(quota, objects)
            return f"sessions, {quota} over {objects} files"
        each = chance.randint(1, FILE_BYTES)
        quota = near * each + chance.choice((0, each - 1, -1 if near * each > 1 else 0))
        await self.bytes(quota, each)
        return f"bytes, {quota} by {each}"

    def judge(self) -> None:
        """All rounds together, by the rows and the service's record."""
        reached = self.service.reached()
        with self.database.snapshot() as sql:
            judge_uses(sql, judge(sql), reached)

    def _granted(self, offering: dict, **more: list[str]) -> tuple[Session, str]:
        sme = join(self._by, "SME", ["sme"], SME_ATTRIBUTES)
        return sme, ask(sme, offering, **more)["grant"]["id"]

    async def _rush(
        self,
        sme: Session,
        grant: str,
        paths: Sequence[str],
        headers: Mapping[str, str] | None = None,
    ) -> list[str]:
        full = [f"/gateway/grants/{grant}/{path}" for path in paths]
        return await rush(self.server.url, full, sme.token(f"grant:{grant}"), headers)

    def _recorded(self, grant: str) -> set[str]:
        return {
            row[0] for row in self.database.sql("SELECT id FROM uses WHERE grant_id = ?", grant)
        }

    def _keep_files(self) -> None:
        """Lay files into the platform's folder, each another: a session is of a content."""
        folder = self.server.state / "data" / str(self.platform.profile.organisation_id) / "many"
        folder.mkdir(parents=True)
        for number in range(CALLERS):
            (folder / f"{number}.bin").write_bytes(b"%d" % number * 100)


def _without_none(**counts: int) -> Counter[str]:
    return Counter({name: count for name, count in counts.items() if count})
