"""Bring the database's schema up to date with Alembic; the scripts stand in infra/migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from exchange.db import Database
from exchange.errors import StartUpError

SCRIPTS = Path(__file__).resolve().parents[1] / "infra" / "migrations"


def migrate(db: Database) -> None:
    """Run every migration that the database has not seen."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    try:
        with db.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        raise StartUpError(
            f"The database {db.url.render_as_string(hide_password=True)} cannot be reached. "
            "Is it running, and is EXCHANGE_DATABASE_URL right?"
        ) from error
