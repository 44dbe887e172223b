"""SIGKILL of workers under calls: what reached the service is recorded, nothing counted twice."""

import pytest

from tests.support.call_kill import CallKills
from tests.support.ledgers import OwnDatabase

KINDS = [
    pytest.param(("sqlite", 1, 3), id="sqlite", marks=pytest.mark.sqlite),
    pytest.param(("postgres", 2, 10), id="postgres, two workers", marks=pytest.mark.postgres),
]


@pytest.mark.parametrize("kind", KINDS)
def test_call_kills(kind, tmp_path):
    name, workers, kills = kind
    database = OwnDatabase(name, tmp_path / "state")
    run = CallKills(database, workers=workers)
    try:
        run.open()
        for _ in range(kills):
            run.cycle()
        run.end(wait=False)
    finally:
        run.close()
        database.remove()
    figures = run.figures
    print(f"\n{name}: {figures}")
    assert figures.kills == kills
    assert figures.without_end >= kills // 2  # kills fell among calls
    assert figures.reached >= 10 * kills
    assert len(run.answered) > kills
