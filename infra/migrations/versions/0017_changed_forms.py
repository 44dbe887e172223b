"""A step says whether it changed the request's form."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("form_changed", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("request_steps", column)


def downgrade() -> None:
    op.drop_column("request_steps", "form_changed")
