"""The token endpoint of an exchange in this process."""

from exchange.oauth.access import DeskAccess
from exchange.oauth.limits import EndpointLimits
from exchange.oauth.nonces import load_nonces
from exchange.oauth.token_endpoint import Incoming, TokenEndpoint


class Endpoint:
    """The token endpoint, asked by a form alone."""

    def __init__(self, parts):
        settings = parts.settings
        self._endpoint = TokenEndpoint(
            parts.token_keys,
            load_nonces(settings.keys_dir),
            settings,
            parts.participants,
            parts.ledger,
            DeskAccess(parts.desk, settings.issuer_url),
            lambda client, secret: False,
            EndpointLimits(1_000_000, 1_000_000),
        )

    async def answer(self, form):
        return await self._endpoint.answer(Incoming(form))
