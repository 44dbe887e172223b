"""The last units of a quota, wanted by many at once, judged by the upstream's own record."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import httpx

from tests.support.upstream import Upstream


async def rush(urls: Sequence[str], path: str, token: str, callers: int) -> Counter[str]:
    """Call once as each of many callers, all at the same time, on servers in turn.

    Returns how often each status, or code of a refusal, was answered.
    """
    headers = {"Authorization": f"Bearer {token}"}
    limits = httpx.Limits(max_connections=callers)
    async with httpx.AsyncClient(limits=limits, timeout=60) as http:
        answers = await asyncio.gather(
            *(http.get(urls[n % len(urls)] + path, headers=headers) for n in range(callers))
        )
    return Counter(
        "200" if each.status_code == 200 else each.json()["type"].rpartition(":")[2]
        for each in answers
    )


def reached(service: Upstream, grant: str) -> list[str]:
    """Return the uses of a grant that reached the upstream, as it wrote them down itself."""
    return [c.one("exchange-use") for c in service.came if c.one("exchange-grant") == grant]
