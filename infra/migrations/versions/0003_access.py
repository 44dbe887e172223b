"""Requests, decisions, grants and deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "use_ends",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("use_id", sa.String(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "use_id"),
    )
    op.create_table(
        "access_requests",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("offering_id", sa.String(), nullable=False),
        sa.Column("offering_version", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["organisations.id"],
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["organisations.id"],
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index(
        "ix_access_requests_consumer",
        "access_requests",
        ["consumer_id", "log_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_access_requests_provider",
        "access_requests",
        ["provider_id", "log_id", "id"],
        unique=False,
    )
    op.create_table(
        "decisions",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("remedies", sa.JSON(), nullable=False),
        sa.Column("obligations", sa.JSON(), nullable=False),
        sa.Column("policy_digest", sa.String(), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("input_salt", sa.String(), nullable=False),
        sa.Column("result_salt", sa.String(), nullable=False),
        sa.Column("decided_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id", "request_id"],
            ["access_requests.log_id", "access_requests.id"],
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index("ix_decisions_request", "decisions", ["log_id", "request_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("offering_id", sa.String(), nullable=False),
        sa.Column("offering_version", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("obligations", sa.JSON(), nullable=False),
        sa.Column("ask", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_index", sa.BigInteger(), nullable=False),
        sa.Column("starts_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id", "request_id"],
            ["access_requests.log_id", "access_requests.id"],
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
        sa.UniqueConstraint("log_id", "request_id"),
        sa.UniqueConstraint("log_id", "status_index"),
    )
    op.create_index("ix_grants_consumer", "grants", ["consumer_id", "log_id", "id"], unique=False)
    op.create_index("ix_grants_end", "grants", ["log_id", "status", "ends_ms"], unique=False)
    op.create_index("ix_grants_provider", "grants", ["provider_id", "log_id", "id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("object_name", sa.String(), nullable=False),
        sa.Column("object_version", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id", "grant_id"],
            ["grants.log_id", "grants.id"],
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index(
        "ix_sessions_open", "sessions", ["log_id", "status", "expires_ms"], unique=False
    )
    op.create_table(
        "uses",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("session_id", sa.String(), nullable=False),
        sa.Column("grant_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("first_byte", sa.BigInteger(), nullable=False),
        sa.Column("last_byte", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id", "session_id"],
            ["sessions.log_id", "sessions.id"],
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index("ix_uses_session", "uses", ["log_id", "session_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_uses_session", table_name="uses")
    op.drop_table("uses")
    op.drop_index("ix_sessions_open", table_name="sessions")
    op.drop_table("sessions")
    op.drop_index("ix_grants_provider", table_name="grants")
    op.drop_index("ix_grants_end", table_name="grants")
    op.drop_index("ix_grants_consumer", table_name="grants")
    op.drop_table("grants")
    op.drop_index("ix_decisions_request", table_name="decisions")
    op.drop_table("decisions")
    op.drop_index("ix_access_requests_provider", table_name="access_requests")
    op.drop_index("ix_access_requests_consumer", table_name="access_requests")
    op.drop_table("access_requests")
    op.drop_table("use_ends")
