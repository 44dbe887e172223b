"""Allowances are for a period; uses that only authorised a redirect are counted apart."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.Column("allowance", sa.Integer(), nullable=False, server_default="0")
    op.add_column("grants", number)
    until = sa.Column("allowance_until_ms", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("grants", until)
    op.execute("UPDATE grants SET allowance = renewals, allowance_until_ms = ends_ms")
    op.execute("ALTER TABLE running_uses RENAME COLUMN renewals TO allowance")
    op.add_column("sessions", sa.Column("authorised", sa.Integer(), nullable=True))
    op.execute("UPDATE sessions SET authorised = 0 WHERE status = 'closed'")


def downgrade() -> None:
    op.drop_column("sessions", "authorised")
    op.execute("ALTER TABLE running_uses RENAME COLUMN allowance TO renewals")
    op.drop_column("grants", "allowance_until_ms")
    op.drop_column("grants", "allowance")
