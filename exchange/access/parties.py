"""Who asks whom for what, as one read found them."""

from dataclasses import dataclass

from exchange.catalog.model import Offering
from exchange.catalog.store import OFFERINGS
from exchange.ledger.write import RowKey
from exchange.participants.model import Client, Organisation
from exchange.participants.store import CLIENTS, ORGANISATIONS
from exchange.policy.activate import ACTIVE, STATE, PolicyInForce


@dataclass(frozen=True, slots=True)
class Around:
    """What a grant stands on beside itself: a hold on any of them suspends it."""

    consumer: Organisation
    provider: Organisation
    offering: Offering

    @property
    def is_held(self) -> bool:
        """Whether any of them has an open hold."""
        return bool(self.consumer.holds or self.provider.holds or self.offering.holds)

    def reads(self) -> dict[RowKey, int]:
        """Return the rev of each."""
        return {
            (ORGANISATIONS, self.consumer.id): self.consumer.rev,
            (ORGANISATIONS, self.provider.id): self.provider.rev,
            (OFFERINGS, self.offering.id): self.offering.rev,
        }


@dataclass(frozen=True, slots=True)
class Parties:
    """Who asks whom for what, as read; the revs are what the commit rechecks."""

    client: Client
    consumer: Organisation
    provider: Organisation
    offering: Offering

    def reads(self, policy: PolicyInForce) -> dict[RowKey, int]:
        """Return the rev of every row that a decision on these parties saw."""
        return {
            (CLIENTS, self.client.id): self.client.rev,
            (ORGANISATIONS, self.consumer.id): self.consumer.rev,
            (ORGANISATIONS, self.provider.id): self.provider.rev,
            (OFFERINGS, self.offering.id): self.offering.rev,
            (STATE, ACTIVE): policy.rev,
        }
