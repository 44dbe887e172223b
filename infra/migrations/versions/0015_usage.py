"""What uses were of, sums of closed sessions, and uses that run under a lease."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SUMS = """
UPDATE sessions SET
  uses = (SELECT count(*) FROM uses AS u
          WHERE u.log_id = sessions.log_id AND u.session_id = sessions.id),
  sent_bytes = (SELECT coalesce(sum(e.sent_bytes), 0) FROM use_ends AS e
                JOIN uses AS u ON u.log_id = e.log_id AND u.id = e.use_id
                WHERE u.log_id = sessions.log_id AND u.session_id = sessions.id),
  ended_unknown = (SELECT count(*) FROM uses AS u
                   LEFT JOIN use_ends AS e ON e.log_id = u.log_id AND e.use_id = u.id
                   WHERE u.log_id = sessions.log_id AND u.session_id = sessions.id
                   AND e.use_id IS NULL)
WHERE status = 'closed'
"""
INDEXES = {
    "ix_sessions_grant": ["log_id", "grant_id", "opened_ms"],
    "ix_sessions_opened": ["log_id", "opened_ms"],
    "ix_sessions_consumer": ["consumer_id", "log_id", "opened_ms"],
    "ix_sessions_provider": ["provider_id", "log_id", "opened_ms"],
}


def upgrade() -> None:
    op.add_column("uses", sa.Column("target", sa.String(), nullable=True))
    op.add_column("sessions", sa.Column("uses", sa.Integer(), nullable=True))
    op.add_column("sessions", sa.Column("sent_bytes", sa.BigInteger(), nullable=True))
    op.add_column("sessions", sa.Column("ended_unknown", sa.Integer(), nullable=True))
    op.execute(SUMS)
    for name, columns in INDEXES.items():
        op.create_index(name, "sessions", columns)
    op.create_table(
        "running_uses",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("renewals", sa.Integer(), nullable=False),
        sa.Column("reserved_bytes", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["log_id", "grant_id"], ["grants.log_id", "grants.id"]),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index("ix_running_uses_until", "running_uses", ["log_id", "until_ms"])
    op.create_index("ix_running_uses_grant", "running_uses", ["log_id", "grant_id"])


def downgrade() -> None:
    op.drop_table("running_uses")
    for name in INDEXES:
        op.drop_index(name, table_name="sessions")
    for table, column in (
        *(("sessions", "ended_unknown"), ("sessions", "sent_bytes"), ("sessions", "uses")),
        ("uses", "target"),
    ):
        op.drop_column(table, column)
