"""A step in a request's life as it is recorded: one row, one leaf.

The text stands in the row only; the leaf commits to it with a salt, so that it can be opened, and
erased (ledger notes).
"""

import secrets
from collections.abc import Mapping
from typing import Any

from exchange.access.acts import Next
from exchange.access.model import Answer
from exchange.access.store import REQUESTS, STEPS
from exchange.http import Caller
from exchange.ids import new_id
from exchange.ledger.ledger import Ledger
from exchange.ledger.write import Event, Insert, Update
from exchange.participants.register_organisation import commitment


def record_step(
    ledger: Ledger,
    held: Answer,
    kind: str,
    caller: Caller | None,
    text: str,
    now_ms: int,
    more: Mapping[str, Any] | None = None,
    *,
    form_changed: bool = False,
) -> tuple[Event, Insert]:
    """Return the leaf and the row of a step; `caller` is None where the clock took it.

    `more` joins what the leaf says. `form_changed` is of an answer with another form than before.
    """
    step_id = new_id("stp", ledger.log_id)
    both = {"consumer_id": held.consumer_id, "provider_id": held.provider_id}
    salt = secrets.token_hex(16)
    event = ledger.event(
        f"request.{kind}.v1",
        held.request_id,
        {
            "request_id": held.request_id,
            "step_id": step_id,
            "by": caller.client_id if caller is not None else None,
            "by_member": caller.member_id if caller is not None else None,
            "text_commitment": commitment(salt, text) if text else None,
            **(more or {}),
        },
        time_ms=now_ms,
        **both,
    )
    row = {
        "log_id": ledger.log_id,
        "id": step_id,
        "request_id": held.request_id,
        **both,
        "kind": kind,
        "by_org": caller.org_id if caller is not None else None,
        "by_client": caller.client_id if caller is not None else None,
        "by_member": caller.member_id if caller is not None else None,
        "text": text,
        "salt": salt,
        "form_changed": form_changed,
        "at_ms": now_ms,
        "event_id": event.id,
    }
    return event, Insert(STEPS, row)


def moved(held: Answer, state: Next, **more: Any) -> Update:
    """Return the update that brings a request into its next state."""
    values = {
        "status": state.status,
        "waits_for": state.waits_for,
        "since_ms": state.since_ms,
        "until_ms": state.until_ms,
        "remind_ms": state.remind_ms,
        **more,
    }
    return Update(REQUESTS, held.request_id, held.rev, values)
