"""A request's whole life: forms, terms, steps, renewal."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NEVER = str(2**53 - 1)


def upgrade() -> None:
    # Requests of before have had their decision, and waited for nobody who could have answered.
    for name, kind, default in (
        ("form", sa.JSON(), "{}"),
        ("approvals", sa.JSON(), "[]"),
        ("accepted_terms", sa.String(), None),
        ("renews", sa.String(), None),
        ("decision_id", sa.String(), ""),
        ("grant_id", sa.String(), None),
        ("waits_for", sa.String(), None),
        ("since_ms", sa.BigInteger(), "0"),
        ("until_ms", sa.BigInteger(), NEVER),
        ("remind_ms", sa.BigInteger(), NEVER),
    ):
        column = sa.Column(name, kind, nullable=default is None, server_default=default)
        op.add_column("access_requests", column)
    op.execute(
        "UPDATE access_requests SET since_ms = created_ms, decision_id = (SELECT id FROM decisions "
        "WHERE decisions.log_id = access_requests.log_id "
        "AND decisions.request_id = access_requests.id), "
        "grant_id = (SELECT id FROM grants WHERE grants.log_id = access_requests.log_id "
        "AND grants.request_id = access_requests.id)"
    )
    op.execute(
        "UPDATE access_requests SET waits_for = 'provider', until_ms = created_ms + 1209600000, "
        "remind_ms = created_ms + 604800000 WHERE status = 'pending_approval'"
    )
    op.create_index("ix_access_requests_remind", "access_requests", ["log_id", "remind_ms"])
    op.create_index("ix_access_requests_until", "access_requests", ["log_id", "until_ms"])
    op.add_column("grants", sa.Column("terms_digest", sa.String(), nullable=True))
    op.add_column("grants", sa.Column("approvals", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("grants", sa.Column("renewals", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "request_steps",
        sa.Column("log_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("consumer_id", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("by_org", sa.String(), nullable=True),
        sa.Column("by_client", sa.String(), nullable=True),
        sa.Column("by_member", sa.String(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["log_id", "request_id"], ["access_requests.log_id", "access_requests.id"]
        ),
        sa.PrimaryKeyConstraint("log_id", "id"),
    )
    op.create_index("ix_request_steps_request", "request_steps", ["log_id", "request_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_request_steps_request", table_name="request_steps")
    op.drop_table("request_steps")
    op.drop_column("grants", "renewals")
    op.drop_column("grants", "approvals")
    op.drop_column("grants", "terms_digest")
    op.drop_index("ix_access_requests_until", table_name="access_requests")
    op.drop_index("ix_access_requests_remind", table_name="access_requests")
    for name in (
        *("remind_ms", "until_ms", "since_ms", "waits_for", "grant_id", "decision_id"),
        *("renews", "accepted_terms", "approvals", "form"),
    ):
        op.drop_column("access_requests", name)
