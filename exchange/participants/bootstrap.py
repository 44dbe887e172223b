"""The operator, made at first start: an organisation, a client, and the client's key on disk."""

import json
from pathlib import Path

from sqlalchemy import select

from exchange.errors import StartUpError
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.ids import new_id
from exchange.ledger.keep import write_durably
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Met, Once, Write
from exchange.participants.register_client import client_write
from exchange.participants.register_organisation import organisation_write
from exchange.participants.store import CLIENTS, Participants

FIRST_START = "bootstrap:operator"
FOR_EVER = 2**53 - 1


async def bootstrap_operator(
    ledger: Ledger, participants: Participants, profile: Path, url: str
) -> None:
    """Make the operator unless there is one; `profile` is what the CLI acts as operator with.

    Several workers may start at once: the first one's write wins, its key is the one kept.
    """
    pending = profile.with_suffix(".pending")
    if pending.exists():  # a start was cut off: its key counts if its write was committed
        made = json.loads(pending.read_text("utf-8"))
        if await participants.clients.get(made["client_id"], fresh=True) is not None:
            pending.replace(profile)
    if profile.exists():
        return
    if await ledger.db.read(lambda c: c.execute(select(CLIENTS.c.id).limit(1)).first()):
        raise StartUpError(
            f"There are participants, but the operator's key is missing ({profile}). "
            "Restore it from your backup of the state folder."
        )
    key = generate_client_key()
    org_id, client_id = new_id("org"), new_id("cli")
    organisation = organisation_write(
        ledger,
        org_id,
        "Operator of this exchange",
        "本交换平台运营方",
        frozenset({"operator"}),
        {},
        set_by="first start",
    )
    client = client_write(
        ledger, client_id, org_id, "operator's command line", public_jwks(key), set_by="first start"
    )
    # The key stands on disk before anything is committed: a crash between the two costs nothing.
    made = {"url": url, "client_id": client_id, "organisation_id": org_id, "key": key}
    write_durably(pending, (json.dumps(made, indent=2) + "\n").encode())
    result = await ledger.commit(
        Write(
            [*organisation.events, *client.events],
            inserts=[*organisation.inserts, *client.inserts],
            once=[Once(FIRST_START, FOR_EVER, {"client_id": client_id})],
        )
    )
    if isinstance(result, Met):
        pending.unlink()
    else:
        pending.replace(profile)
