"""Server-sent events (WHATWG HTML, section 9.2) as the exchange writes them, read in bounds."""

from dataclasses import dataclass

from exchange.formats.errors import FormatError

LINE_END = b"\n"


@dataclass(frozen=True, slots=True)
class ServerSent:
    """One event: its kind, and its data as text."""

    kind: str
    data: str


class EventReader:
    """Makes events of the bytes as they come; no more than `most` of them wait for their end."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, b""

    def feed(self, piece: bytes) -> list[ServerSent]:
        """Take bytes, return the events that they end; raises FormatError."""
        *blocks, self._held = (self._held + piece.replace(b"\r\n", LINE_END)).split(b"\n\n")
        if max(map(len, (*blocks, self._held))) > self._most:
            raise FormatError("an event is too long")
        return [event for event in map(_event, blocks) if event is not None]


def _event(block: bytes) -> ServerSent | None:
    fields: dict[str, str] = {}
    try:
        lines = block.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise FormatError("an event is not of ASCII") from None
    for line in lines:
        name, _, value = line.partition(":")
        if name:  # a line that begins with a colon is a comment
            if name in fields:
                raise FormatError("an event names a field twice")
            fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    return ServerSent(fields.get("event", "message"), fields["data"])
