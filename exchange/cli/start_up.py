"""What may keep the exchange from starting: wrong settings, a taken port, a database in trouble.

Settings are imported where they are read: verbs that need none need not wait for them.
"""

import errno
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import typer
from rich.markup import escape

from exchange.cli.output import NOT_TRIED, err
from exchange.errors import StartUpError

if TYPE_CHECKING:
    from exchange.settings import Settings

# Strict, so that whatever reads it takes the same part for the password.
DATABASE_URL = re.compile(
    r"sqlite:.*|[a-z0-9+]+://(?:[^:@/?#\s]*(?::[^:@/?#\s]*)?@)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|[^:@/?#\s\[\]]*)(?::[0-9]{1,5})?(?:/[^@?#\s]*)?(?:\?[^#\s]*)?"
)


@contextmanager
def starting() -> Iterator[None]:
    """Say why the exchange cannot start, and end with 2."""
    try:
        yield
    except StartUpError as error:
        err.print(f"[red]The exchange cannot start.[/]\n{escape(str(error))}")
        raise typer.Exit(NOT_TRIED) from None


def read_settings() -> "Settings":
    """Read EXCHANGE_… from the environment; raises StartUpError, which shows no secret."""
    from pydantic import SecretStr, ValidationError

    from exchange.settings import Settings

    try:
        settings = Settings()
    except ValidationError as error:
        lines = []
        for fault in error.errors(include_url=False, include_context=False):
            name = str(fault["loc"][0])
            secret = Settings.model_fields[name].annotation is SecretStr
            given = "" if secret else f" is {str(fault['input'])[:80]!r}"
            lines.append(f"EXCHANGE_{name.upper()}{given}: {fault['msg']}.")
        raise StartUpError("\n".join(lines)) from None
    if not DATABASE_URL.fullmatch(settings.database):
        raise StartUpError(
            "EXCHANGE_DATABASE_URL cannot be read (it is not shown, since it may hold a password): "
            "write postgresql://user:password@host:5432/name, with what is special percent-encoded."
        )
    return settings


def check_port(settings: "Settings") -> None:
    """Raise StartUpError when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"Port {settings.port} on {settings.host}"
            if error.errno == errno.EADDRINUSE:
                other = settings.port % 65535 + 1
                raise StartUpError(
                    f"{where} is taken: another program listens there, perhaps another exchange. "
                    f"Stop it, or choose another port: EXCHANGE_PORT={other} make run"
                ) from error
            raise StartUpError(
                f"{where} cannot be listened on ({error.strerror}). EXCHANGE_HOST must be an "
                "address of this machine, and ports below 1024 may need privileges: "
                "EXCHANGE_HOST=127.0.0.1 EXCHANGE_PORT=8000 make run"
            ) from error


def is_the_databases(error: BaseException | None) -> bool:
    """Whether an error came from the database, or from the library that speaks to it."""
    # A verb may not import SQLAlchemy (the command speaks HTTP), but here its errors come through.
    return any(kind.__module__ == "sqlalchemy.exc" for kind in type(error).__mro__)


def database_said(error: BaseException | None, settings: "Settings") -> str:
    """Return what to do about the database, with the first line of what it said, no password."""
    url = urlsplit(settings.database)
    line = str(getattr(error, "orig", None) or error).partition("\n")[0]
    for secret in {url.password, unquote(url.password)} if url.password else ():
        line = line.replace(secret, "***")
    if url.scheme.startswith("sqlite"):
        return (
            f"The database {url.path[1:]} cannot be used ({line}). Make room or change its owner; "
            "restore a damaged one from a copy, or choose another EXCHANGE_STATE_DIR."
        )
    return (
        f"The database {url.path[1:]} on {url.hostname}:{url.port or 5432} cannot be used: {line}\n"
        "Is it running, does it know this user, and is EXCHANGE_DATABASE_URL right?"
    )
