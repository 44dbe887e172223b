"""Holds: suspensions of grants, offerings and organisations."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

HELD = ("grants", "offerings", "organisations")


def upgrade() -> None:
    for table in HELD:
        op.add_column(table, sa.Column("holds", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "holds",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("target_kind", sa.String(), nullable=False),
        sa.Column("target_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=True),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("by_org", sa.String(), nullable=True),
        sa.Column("by_client", sa.String(), nullable=True),
        sa.Column("by_member", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=True),
        sa.Column("placed_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("lifted_ms", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_by_org", sa.String(), nullable=True),
        sa.Column("lifted_by_client", sa.String(), nullable=True),
        sa.Column("lifted_by_member", sa.String(), nullable=True),
        sa.Column("lift_text", sa.String(), nullable=True),
        sa.Column("lift_salt", sa.String(), nullable=True),
        sa.Column("lift_decision_id", sa.String(), nullable=True),
        sa.Column("lift_event_id", sa.String(), nullable=True),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["consumer_id"], ["organisations.id"]),
        sa.ForeignKeyConstraint(["provider_id"], ["organisations.id"]),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    for party in ("target", "consumer", "provider"):
        op.create_index(f"ix_holds_{party}", "holds", [f"{party}_id", "log_id", "id"])


def downgrade() -> None:
    for party in ("target", "consumer", "provider"):
        op.drop_index(f"ix_holds_{party}", table_name="holds")
    op.drop_table("holds")
    for table in HELD:
        op.drop_column(table, "holds")
