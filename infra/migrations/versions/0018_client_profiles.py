"""How a client authenticates, and whether its tokens are bound to a key (RFC 9449)."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Clients of before go on with bearer tokens: their programs know of nothing else.
    method = sa.Column("auth_method", sa.String(), nullable=False, server_default="private_key_jwt")
    bound = sa.Column("dpop_bound", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("clients", method)
    op.add_column("clients", bound)
    op.add_column("clients", sa.Column("secret_hash", sa.String(), nullable=True))


def downgrade() -> None:
    for name in ("secret_hash", "dpop_bound", "auth_method"):
        op.drop_column("clients", name)
