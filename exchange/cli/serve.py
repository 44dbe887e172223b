"""`exchange serve` and `exchange init`, with a message that helps where they cannot.

What serving needs is imported where it is used: other verbs need not wait for it.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from exchange.cli.start_up import (
    check_port,
    database_said,
    is_the_databases,
    read_settings,
    starting,
)
from exchange.client.errors import ProfileProblem
from exchange.client.profile import read_profile, update_profile
from exchange.errors import StartUpError

if TYPE_CHECKING:
    from exchange.settings import Settings


async def initialise(settings: "Settings") -> None:
    """Make state, schema, keys and the operator, and check everything, without serving."""
    from exchange.parts import open_parts

    try:
        parts = await open_parts(settings)
        try:
            _keep_address(settings)
        finally:
            await parts.close()
    except ProfileProblem as error:
        raise StartUpError(str(error)) from error
    except OSError as error:
        raise StartUpError(
            f"{error.filename or settings.state_dir}: {error.strerror}. Make room or change its "
            "owner, or choose another folder with EXCHANGE_STATE_DIR."
        ) from error
    except Exception as error:
        cause = error.__cause__ if isinstance(error, StartUpError) else error
        if not is_the_databases(cause):
            raise
        raise StartUpError(database_said(cause, settings)) from error


def _keep_address(settings: "Settings") -> None:
    """Let the operator's profile follow the exchange to another address."""
    path = settings.keys_dir / "operator.json"
    operator = read_profile(path) if path.exists() else None  # another host may have made it
    if operator is not None and operator.url != settings.issuer_url:
        update_profile(path, replace(operator, url=settings.issuer_url))


def serve(
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="End when standard input does")
    ] = False,
) -> None:
    """Serve until stopped. Settings come from EXCHANGE_… in the environment."""
    import uvicorn

    from exchange.logs import set_up_logging

    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    with starting():
        settings = read_settings()
        check_port(settings)
        set_up_logging(settings.log_level)
        asyncio.run(initialise(settings))
    logging.getLogger("exchange").info("listening on %s", settings.issuer_url)
    os.environ.setdefault("EXCHANGE_ISSUER", settings.issuer_url)
    uvicorn.run(
        "exchange.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="exchange.connection:BoundedProtocol",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here depends on who a proxy says is calling
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=settings.header_bytes,
        backlog=2048,
    )


def _end_with_input() -> None:
    """Wait until whoever started this is gone, however it went: its end of the pipe goes too."""
    while os.read(sys.stdin.fileno(), 1024):  # not by its buffer, whose lock exit would wait for
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def init() -> None:
    """Make the state, the database's schema, the keys and the operator, and check them."""
    from exchange.logs import set_up_logging

    with starting():
        settings = read_settings()
        set_up_logging("warning")
        asyncio.run(initialise(settings))
    typer.echo(f"Ready. The operator's profile is {settings.keys_dir / 'operator.json'}.")
