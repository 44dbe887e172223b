"""Receipts, fetched and verified: the exchange is judged by the key that the profile holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from exchange.client.core import Core
from exchange.client.errors import NotProved, ProfileProblem
from exchange.client.flow import Flow, Work
from exchange.formats import receipt as receipts_format
from exchange.formats.errors import FormatError
from exchange.formats.note import Verifier
from exchange.formats.receipt import SUFFIX, ReceiptRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a receipt proves: that the log holds this event at this index."""

    event_id: str
    event: Mapping[str, Any]
    index: int
    tree_size: int
    receipt: str = field(repr=False)
    path: Path | None = None

    @property
    def kind(self) -> str:
        """What happened, such as `grant.activated.v1`."""
        return str(self.event.get("type", "")).removeprefix("exchange.")


def own_events(core: Core) -> Flow[list[str]]:
    """Return the events of all requests and grants that the caller sees, each once."""
    events: dict[str, None] = {}
    for path in ("/v1/access-requests", "/v1/grants"):
        params: dict[str, Any] = {}
        while True:
            for item in (yield from core.page(path, params)):
                ended = item.get("closed"), item.get("revocation")
                for each in (item, *filter(None, ended)):
                    events[each["event_id"]] = None
            if params["cursor"] is None:
                break
    return list(events)


def receipts(core: Core, events: Sequence[str], folder: Path | None) -> Flow[tuple[Proof, ...]]:
    """Fetch and verify; raises NotProved for the first that does not prove its event."""
    verifier = log_key(core)
    proofs = []
    for event_id in events:
        text = (yield from core.ask("GET", f"/v1/receipts/{event_id}")).text
        path = folder / f"{event_id}{SUFFIX}" if folder is not None else None
        proof = verify(text, verifier, event_id, path)
        if path is not None:
            yield Work(partial(_write, path, text))
        proofs.append(proof)
    return tuple(proofs)


def log_key(core: Core) -> Verifier:
    """Return the key that receipts are judged by; raises ProfileProblem."""
    known = core.profile.log_key.strip()
    if not known:
        raise ProfileProblem(
            "The profile holds no log key, and the exchange may not choose the key that it is "
            "judged by. Get it from somebody you trust: `exchange profile set --log-key`."
        )
    try:
        return Verifier.parse(known)
    except FormatError as error:
        raise ProfileProblem(f"The profile's log key cannot be used: {error}.") from error


def verify(text: str, verifier: Verifier, event_id: str, path: Path | None = None) -> Proof:
    """Judge one receipt, and that it is of the event that was asked for."""
    try:
        verified = receipts_format.verify(receipts_format.parse(text), verifier)
    except ReceiptRefused as error:
        raise NotProved(f"The receipt of {event_id} proves nothing: {error.detail}.") from error
    if verified.event.get("id") != event_id:
        raise NotProved(f"The receipt of {event_id} is of another event.")
    return Proof(
        event_id=event_id,
        event=verified.event,
        index=verified.index,
        tree_size=verified.checkpoint.size,
        receipt=text,
        path=path,
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
