"""`exchange serve`: start the exchange, with a message that helps where it cannot."""

import asyncio
import logging
import os
import socket
import sys

import typer

from exchange.errors import StartUpError
from exchange.logs import set_up_logging
from exchange.settings import Settings


def check_port(settings: Settings) -> None:
    """Raise StartUpError when the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StartUpError(
                f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}). "
                "Stop what runs there, or choose another: EXCHANGE_PORT=8001 make run"
            ) from error


async def initialise(settings: Settings) -> None:
    """Make state, schema, keys and the operator, and check everything, without serving."""
    from exchange.parts import open_parts  # half a second that other verbs need not wait

    parts = await open_parts(settings)
    await parts.close()


def serve() -> None:
    """Serve until stopped. Settings come from EXCHANGE_… in the environment."""
    import uvicorn

    from exchange.connection import BoundedProtocol

    settings = Settings()
    set_up_logging(settings.log_level)
    try:
        check_port(settings)
        asyncio.run(initialise(settings))
    except StartUpError as error:
        typer.echo(f"The exchange cannot start.\n{error}", err=True)
        raise typer.Exit(2) from None
    logging.getLogger("exchange").info("listening on %s", settings.issuer_url)
    os.environ.setdefault("EXCHANGE_ISSUER", settings.issuer_url)
    uvicorn.run(
        "exchange.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=settings.header_bytes,
        backlog=2048,
    )


def init() -> None:
    """Make the state, the database's schema, the keys and the operator, and check them."""
    settings = Settings()
    set_up_logging("warning")
    try:
        asyncio.run(initialise(settings))
    except StartUpError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    typer.echo(f"Ready. The operator's profile is {settings.keys_dir / 'operator.json'}.")
