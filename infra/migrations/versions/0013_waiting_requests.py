"""Indexes of requests by time hold only those that wait."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WAITS = sa.text("status = 'pending_approval'")
COLUMNS = ("remind_ms", "until_ms")


def upgrade() -> None:
    _index_anew({"sqlite_where": WAITS, "postgresql_where": WAITS})


def downgrade() -> None:
    _index_anew({})


def _index_anew(options: dict[str, sa.TextClause]) -> None:
    for column in COLUMNS:
        name = f"ix_access_requests_{column.removesuffix('_ms')}"
        op.drop_index(name, table_name="access_requests")
        op.create_index(name, "access_requests", ["log_id", column], **options)
