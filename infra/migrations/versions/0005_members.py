"""Members of organisations, and their clients."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("org_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("invitation_hash", sa.String(), nullable=True),
        sa.Column("invitation_expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["organisations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_members_org_id", "members", ["org_id"])
    op.create_index("ix_members_invitation_hash", "members", ["invitation_hash"])
    # In SQL: SQLite takes a foreign key with a new column, and Alembic would add it afterwards.
    op.execute("ALTER TABLE clients ADD COLUMN member_id VARCHAR REFERENCES members (id)")


def downgrade() -> None:
    with op.batch_alter_table("clients") as clients:
        clients.drop_column("member_id")
    op.drop_index("ix_members_invitation_hash", table_name="members")
    op.drop_index("ix_members_org_id", table_name="members")
    op.drop_table("members")
