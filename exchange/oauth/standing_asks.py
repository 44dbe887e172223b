"""Which grant answered an ask when it was last asked here: this process's memory, and a hint only.

Programs ask for the same again every few minutes. The hint saves them the walk that would find the
grant; the grant itself is read anew, its policy asked, and both rechecked in the commit. So what is
forgotten, or has changed, costs a walk and nothing else.
"""

from collections import OrderedDict
from dataclasses import dataclass

from exchange.oauth.model import OneOffering

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The grant that answered, the request it came from, the rev of its offering at that time."""

    grant_id: str
    request_id: str
    offering_rev: int


class StandingAsks:
    """At most `capacity` asks, the least recently used forgotten first."""

    def __init__(self, capacity: int = 10_000) -> None:
        self._found: OrderedDict[Key, Found] = OrderedDict()
        self._capacity = capacity

    def find(self, client_id: str, asked: OneOffering) -> Found | None:
        """Return what answered this very ask, form and terms and all."""
        key = _key(client_id, asked)
        if (found := self._found.get(key)) is not None:
            self._found.move_to_end(key)
        return found

    def note(self, client_id: str, asked: OneOffering, found: Found | None) -> None:
        """Remember what answered now; None forgets what did before."""
        key = _key(client_id, asked)
        self._found.pop(key, None)
        if found is not None:
            self._found[key] = found
        if len(self._found) > self._capacity:
            self._found.popitem(last=False)


def _key(client_id: str, asked: OneOffering) -> Key:
    ask = asked.ask
    form = ask.form_digest if ask.form else None
    return (
        *(client_id, asked.kind, ask.offering_id, ask.purpose),
        *(ask.actions, ask.days, form, ask.accepted_terms),
    )
