"""The worker processes of one exchange, and which of them has a connection: as Linux knows it."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.server import ExchangeServer


def workers_of(server: ExchangeServer) -> list[int]:
    """Its processes that serve, or begin to; of an exchange of one process none."""
    assert server.process
    parent = server.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in _command(pid)]


def holder(processes: Sequence[int], port: int, peer: int) -> int | None:
    """The process that has the loopback connection from `port` to `peer`; None where none has.

    A connection that nobody has accepted yet is nobody's.
    """
    ends = f"{_address(port)} {_address(peer)}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if " ".join(fields[1:3]) == ends and fields[9] != "0":
            return next((pid for pid in processes if _has(pid, f"socket:[{fields[9]}]")), None)
    return None


def _address(port: int) -> str:
    return f"0100007F:{port:04X}"


def _has(pid: int, name: str) -> bool:
    with suppress(OSError):  # it has ended, or closed what was listed
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) == name:
                    return True
    return False


def _command(pid: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
