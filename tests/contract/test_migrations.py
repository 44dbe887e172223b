"""Migrations make exactly the schema that the tables' classes describe, on both databases."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

import exchange.app  # noqa: F401  every table is known
from exchange.db import Database
from exchange.errors import StartUpError
from exchange.migrate import SCRIPTS, migrate
from tests.support.ledgers import OwnDatabase

LOG_TABLES = {
    "log_state",
    "entries",
    "checkpoints",
    "tiles",
    "counters",
    "followers",
    "log_refs",
    "log_hours",
    "request_steps",
    "running_uses",
    "access_requests",
    "decisions",
    "grants",
    "holds",
    "revocations",
    "sessions",
    "uses",
    "use_ends",
    "webhooks",
    "audit_reads",
}


@pytest.fixture
def db(database):
    """A database that no migration has seen."""
    if database.kind == "postgres":
        database.sql("DROP SCHEMA public CASCADE")
        database.sql("CREATE SCHEMA public")
    else:
        database.file.parent.mkdir(parents=True)
    db = Database(database.settings().database)
    yield db
    db.close()


def run(db, verb, to):
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with db.writing() as connection:
        config.attributes["connection"] = connection
        verb(config, to)


def tables(db):
    with db.readers.connect() as connection:
        return set(inspect(connection).get_table_names()) - {"alembic_version"}


def difference(db):
    with db.writing() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, SQLModel.metadata)


def test_the_schema_is_that_of_the_tables(db):
    assert tables(db) == set()
    migrate(db)
    assert tables(db) == set(SQLModel.metadata.tables)
    assert difference(db) == []


def test_a_difference_would_be_seen(db):
    """The comparison is no rubber stamp."""
    migrate(db)
    with db.writing() as connection:
        connection.exec_driver_sql("DROP INDEX ix_grants_end")
    assert [kind for kind, *_ in difference(db)] == ["add_index"]


def test_migrating_again_changes_nothing(database, db):
    migrate(db)
    database.sql("INSERT INTO policy_state (id, digest, rev) VALUES ('active', 'x', 1)")
    migrate(db)
    migrate(db)
    assert database.sql("SELECT id FROM policy_state") == [("active",)]
    assert len(database.sql("SELECT version_num FROM alembic_version")) == 1


def test_down_and_up_again(db):
    migrate(db)
    run(db, command.downgrade, "base")
    assert tables(db) == set()
    migrate(db)
    assert difference(db) == []


def test_there_is_one_head():
    assert len(ScriptDirectory(str(SCRIPTS)).get_heads()) == 1


def test_a_migration_that_fails_leaves_nothing_behind(db):
    """Half a schema would be worse than none; both databases roll DDL back."""
    with db.writing() as connection:  # the last of the tables stands in the way
        connection.exec_driver_sql("CREATE TABLE uses (id INTEGER)")
    with pytest.raises((StartUpError, SQLAlchemyError)):
        migrate(db)
    assert tables(db) == {"uses"}
    with db.writing() as connection:
        connection.exec_driver_sql("DROP TABLE uses")
    migrate(db)
    assert difference(db) == []


def test_tables_of_a_log_start_their_keys_with_log_id():
    for name, table in SQLModel.metadata.tables.items():
        first = next(iter(table.primary_key.columns)).name
        assert (first == "log_id") == (name in LOG_TABLES), name
    for name in LOG_TABLES:
        for key in SQLModel.metadata.tables[name].foreign_key_constraints:
            inside = key.referred_table.name in LOG_TABLES
            assert ("log_id" in key.column_keys) == inside, (name, key.column_keys)


@pytest.mark.postgres
def test_a_database_that_is_not_there_is_named_without_its_password(postgres):
    url = f"postgresql://someone:hunter2@127.0.0.1:9/{postgres.name}"
    db = Database(OwnDatabase.settings(postgres, database_url=url).database)
    with pytest.raises(StartUpError) as refused:
        migrate(db)
    db.close()
    assert postgres.name in str(refused.value)
    assert "EXCHANGE_DATABASE_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)
