"""A webhook's delivery, as whoever receives it checks it (RFC 9421, RFC 9530).

Needs the extra `webhooks`. The exchange's keys are its JWK Set, `GET /oauth/jwks`: keep it, and
fetch it again when a delivery names a key that it does not hold.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

from exchange.client.errors import MissingExtra, NotProved

NEEDED: Final = ("@method", "@target-uri", "content-type", "content-digest", "exchange-delivery")
MAX_AGE: Final = timedelta(minutes=5)  # since it was signed: each attempt is signed anew


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry of the log, as it was posted.

    `id` is the same whenever it is sent again; `index` grows; `receipt` is where its proof is had.
    """

    id: str
    index: int
    log: str
    receipt: str
    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    url: str
    headers: Mapping[str, str]


def verify_delivery(
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    jwks: Mapping[str, Any],
    *,
    max_age: timedelta = MAX_AGE,
) -> Delivery:
    """Return what a POST request delivered; raises NotProved unless the exchange signed it all.

    `url` is the webhook's, as it was registered: not what a request's headers say of it. Whoever
    must not act twice on an entry remembers the delivery's id, or the highest index so far.
    """
    try:
        from http_message_signatures import (
            HTTPMessageVerifier,
            HTTPSignatureKeyResolver,
        )
        from http_message_signatures.algorithms import ECDSA_P256_SHA256
        from http_message_signatures.exceptions import (
            HTTPMessageSignaturesException,
        )
    except ImportError as error:
        raise MissingExtra(
            "Verifying a delivery needs http-message-signatures: "
            "pip install 'data-sharing-exchange[webhooks]'."
        ) from error

    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> Any:
            return _key(jwks, key_id)

        def resolve_private_key(self, key_id: str) -> Any:
            raise NotProved("A receiver signs nothing.")

    named = {name.lower(): value for name, value in headers.items()}
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys())
    try:
        verifier.verify(
            _Message("POST", url, named), max_age=max_age, require_components=NEEDED, body=body
        )
        document = json.loads(body)
        return Delivery(
            named["exchange-delivery"],
            document["index"],
            document["log"],
            document["receipt"],
            document["event"],
        )
    except (HTTPMessageSignaturesException, ValueError, KeyError, TypeError) as error:
        why = str(error) or "the signature does not fit these bytes, headers and address"
        raise NotProved(f"The exchange did not sign this delivery: {why}.") from error


def _key(jwks: Mapping[str, Any], key_id: str) -> Any:
    for each in jwks.get("keys", ()):
        if each.get("kid") == key_id:
            try:
                return jwk.import_key(each).public_key
            except (JoseError, AttributeError) as error:
                raise NotProved("The key that it names cannot be used.") from error
    raise NotProved("It names a key that is none of these: fetch /oauth/jwks again.")
