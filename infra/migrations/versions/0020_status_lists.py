"""Each grant has a random place in its provider's status list; a leaf's index has its own name."""

import random

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

SPACE = 1 << 20
BATCH = 1_000


def upgrade() -> None:
    op.execute("ALTER TABLE grants RENAME COLUMN status_index TO leaf_index")
    # The default fits one row of a provider only: whoever forgets the index is refused.
    place = sa.Column("status_index", sa.BigInteger(), nullable=False, server_default="-1")
    op.add_column("grants", place)
    _draw(op.get_bind())
    columns = ["provider_id", "log_id", "status_index"]
    op.create_index("ix_grants_status_index", "grants", columns, unique=True)


def _draw(connection: sa.Connection) -> None:
    """Draw a number for each grant, unique within its log and provider."""
    chance = random.SystemRandom()
    rows = connection.execute(sa.text("SELECT log_id, id, provider_id FROM grants")).all()
    taken: dict[tuple[str, str], set[int]] = {}
    drawn = []
    for log_id, grant_id, provider_id in rows:
        own = taken.setdefault((log_id, provider_id), set())
        space = SPACE if len(own) < SPACE // 2 else SPACE << 4
        while (number := chance.randrange(space)) in own:
            pass
        own.add(number)
        drawn.append({"log": log_id, "grant": grant_id, "number": number})
    update = sa.text("UPDATE grants SET status_index = :number WHERE log_id = :log AND id = :grant")
    for start in range(0, len(drawn), BATCH):
        connection.execute(update, drawn[start : start + BATCH])


def downgrade() -> None:
    op.drop_index("ix_grants_status_index", table_name="grants")
    op.drop_column("grants", "status_index")
    op.execute("ALTER TABLE grants RENAME COLUMN leaf_index TO status_index")
