"""SIGKILL at random moments under load: the log and the rows agree, no word is taken back."""

import pytest

from tests.support.kill import KillRun
from tests.support.ledgers import OwnDatabase

KILLS = 5
KINDS = [
    pytest.param(("sqlite", 1), id="sqlite", marks=pytest.mark.sqlite),
    pytest.param(("postgres", 2), id="postgres, two workers", marks=pytest.mark.postgres),
]


@pytest.mark.parametrize("kind", KINDS)
def test_kills(kind, tmp_path):
    name, workers = kind
    database = OwnDatabase(name, tmp_path / "state")
    run = KillRun(database, workers=workers, while_starting=0)
    try:
        run.open()
        for _ in range(KILLS):
            run.cycle()
    finally:
        run.close()
        database.remove()
    figures = run.figures
    print(f"\n{name}: {figures}")
    assert figures.kills == KILLS
    assert figures.cut_off >= KILLS  # each kill fell among requests
    assert figures.receipts > 20
    assert figures.grants > 10
    assert figures.checkpoints > KILLS
