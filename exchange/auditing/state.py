"""What an auditor remembers of a log from one verification to the next, in one file.

Whoever forgets the last checkpoint cannot tell that a log was cut or exchanged for another.
"""

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exchange.auditing.edge import Edge
from exchange.formats.errors import FormatError


class StateUnusable(Exception):
    """The state file cannot be used; the message says what to do."""


@dataclass(slots=True)
class State:
    """Notes are signed checkpoints. `edge` is how far the entries have been read.

    `base` is the edge at the verified checkpoint, where reading begins again after a fault.
    """

    log_key: str
    edge: Edge = field(default_factory=Edge)
    seen: str = ""  # the largest checkpoint that the log has shown
    verified: str = ""  # the last one whose entries were all read
    base: Sequence[str] = ()


def read_state(path: Path, log_key: str) -> State:
    """Read what is remembered of a log; nothing yet where there is no file.

    Raises StateUnusable, OSError.
    """
    try:
        held = json.loads(path.read_text("utf-8"))
        state = State(
            held["log_key"],
            Edge.decode(held["edge"]),
            held["seen"],
            held["verified"],
            Edge.decode(held["base"]).encode(),
        )
        texts = (state.log_key, state.seen, state.verified)
    except FileNotFoundError:
        return State(log_key)
    except (ValueError, KeyError, TypeError, FormatError) as error:
        raise StateUnusable(
            f"{path} is no state of a verification. Restore it from a copy: without it nobody can "
            "tell whether the log was cut. Or name another file with --state to begin anew."
        ) from error
    if not all(isinstance(text, str) for text in texts) or state.log_key != log_key:
        raise StateUnusable(
            f"{path} is of the log {state.log_key}, not of {log_key}. An exchange's log key never "
            "changes: ask the operator. For another log name another file with --state."
        )
    return state


def keep_state(path: Path, state: State) -> None:
    """Write the state so that a crash leaves the old one or the new one; raises OSError."""
    document = {
        "log_key": state.log_key,
        "edge": state.edge.encode(),
        "seen": state.seen,
        "verified": state.verified,
        "base": list(state.base),
    }
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("x", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=1) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
