"""Searching the catalog by longer grams: the index anew, in the order of code points."""

import sqlalchemy as sa
from alembic import op

from exchange.catalog.index import index_of

revision = "0012"
down_revision = "0011"
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
search = sa.table(
    "offering_search",
    sa.column("id", sa.String()),
    sa.column("text", sa.String()),
    sa.column("facets", sa.JSON()),
)


def upgrade() -> None:
    connection = op.get_bind()
    op.drop_table("offering_terms")
    collation = "C" if connection.dialect.name == "postgresql" else None
    terms = op.create_table(
        "offering_terms",
        sa.Column("term", sa.String(collation=collation), nullable=False),
        sa.Column("offering_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("term", "offering_id"),
        sqlite_with_rowid=False,
    )
    after = ""
    while True:
        query = sa.select(offerings).where(offerings.c.id > after).order_by(offerings.c.id)
        rows = connection.execute(query.limit(AT_ONCE)).all()
        if not rows:
            return
        after = rows[-1].id
        found = [(row.id, index_of(row.provider_id, row.status, row.terms)) for row in rows]
        for id_, indexed in found:
            kept = {"text": indexed.text, "facets": list(indexed.facets)}
            connection.execute(search.update().where(search.c.id == id_), kept)
        connection.execute(
            terms.insert(),
            [{"term": term, "offering_id": i} for i, x in found for term in sorted(x.terms)],
        )


def downgrade() -> None:
    """Keep the lists: an earlier exchange finds in them all that it looks for."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute('ALTER TABLE offering_terms ALTER term TYPE varchar COLLATE "default"')
