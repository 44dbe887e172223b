"""Searching the catalog: the index, and what stood in the catalog before there was one."""

import sqlalchemy as sa
from alembic import op

from exchange.catalog.index import index_of

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AT_ONCE = 100
offerings = sa.table(
    "offerings",
    sa.column("id", sa.String()),
    sa.column("provider_id", sa.String()),
    sa.column("status", sa.String()),
    sa.column("terms", sa.JSON()),
)


def upgrade() -> None:
    search = op.create_table(
        "offering_search",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("facets", sa.JSON(), nullable=False),
        sa.Column("rev", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["id"],
            ["offerings.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    terms = op.create_table(
        "offering_terms",
        sa.Column("term", sa.String(), nullable=False),
        sa.Column("offering_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("term", "offering_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "offering_previews",
        sa.Column("offering_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tables", sa.JSON(), nullable=False),
        sa.Column("samples", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["offering_id", "version"],
            ["offering_versions.offering_id", "offering_versions.version"],
        ),
        sa.PrimaryKeyConstraint("offering_id", "version"),
    )
    connection, after = op.get_bind(), ""
    while True:
        query = sa.select(offerings).where(offerings.c.id > after).order_by(offerings.c.id)
        rows = connection.execute(query.limit(AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].id
        found = [(row.id, index_of(row.provider_id, row.status, row.terms)) for row in rows]
        connection.execute(
            search.insert(),
            [{"id": i, "text": x.text, "facets": list(x.facets), "rev": 1} for i, x in found],
        )
        connection.execute(
            terms.insert(),
            [{"term": term, "offering_id": i} for i, x in found for term in sorted(x.terms)],
        )


def downgrade() -> None:
    op.drop_table("offering_previews")
    op.drop_table("offering_terms")
    op.drop_table("offering_search")
