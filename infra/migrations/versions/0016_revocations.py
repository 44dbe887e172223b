"""Why grants were revoked, in words."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("revoked_by", sa.String(), nullable=False),
        sa.Column("by_org", sa.String(), nullable=False),
        sa.Column("by_client", sa.String(), nullable=False),
        sa.Column("by_member", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["log_id", "grant_id"], ["grants.log_id", "grants.id"]),
        sa.PrimaryKeyConstraint("log_id", "grant_id"),
    )


def downgrade() -> None:
    op.drop_table("revocations")
