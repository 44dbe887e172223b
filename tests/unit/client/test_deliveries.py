"""A webhook's receiver by the client library: what it takes, and what it does not."""

import json
import time
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwk

from exchange.client import Delivery, NotProved, verify_delivery
from exchange.webhooks import send
from exchange.webhooks.send import COVERED, MessageKey

URL = "https://sme.example/hook?x=1"
EVENT = {"id": "evt_1", "type": "exchange.grant.activated.v1"}
BODY = json.dumps({"index": 7, "log": "l", "receipt": "r", "event": EVENT}).encode()
KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = {"keys": [jwk.import_key(KEY.public_key(), "EC").as_dict(private=False) | {"kid": "k1"}]}


def signed(body=BODY, url=URL, key=KEY, kid="k1", age=0.0):
    return MessageKey(lambda: (key, kid)).headers(
        url, body, "whk_1.7", int((time.time() - age) * 1000)
    )


def test_what_the_exchange_signed_is_taken():
    wanted = Delivery("whk_1.7", 7, "l", "r", EVENT)
    assert verify_delivery(URL, signed(), BODY, JWKS) == wanted
    loud = {name.upper(): value for name, value in signed().items()}
    assert verify_delivery(URL, loud, BODY, JWKS) == wanted


@pytest.mark.parametrize("name", ["content-digest", "exchange-delivery", "content-type"])
def test_a_header_that_was_changed_or_taken_is_refused(name):
    headers = {key.lower(): value for key, value in signed().items()}
    for changed in (headers | {name: "x"}, {k: v for k, v in headers.items() if k != name}):
        with pytest.raises(NotProved):
            verify_delivery(URL, changed, BODY, JWKS)


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_an_unsigned_delivery_is_refused(name):
    headers = {key.lower(): value for key, value in signed().items() if key.lower() != name}
    with pytest.raises(NotProved):
        verify_delivery(URL, headers, BODY, JWKS)


# Whoever signs a body with the library covers its digest, named or not.
@pytest.mark.parametrize("left_out", [each for each in COVERED if each != "content-digest"])
def test_a_signature_that_covers_less_is_refused(left_out, monkeypatch):
    monkeypatch.setattr(send, "COVERED", [each for each in COVERED if each != left_out])
    headers = signed()
    monkeypatch.undo()
    with pytest.raises(NotProved):
        verify_delivery(URL, headers, BODY, JWKS)


def test_other_bytes_another_address_another_key_are_refused():
    stranger = ec.generate_private_key(ec.SECP256R1())
    for url, headers, body, jwks in (
        (URL, signed(), BODY.replace(b"7", b"8"), JWKS),
        ("https://other.example/hook?x=1", signed(), BODY, JWKS),
        (URL, signed(key=stranger), BODY, JWKS),
        (URL, signed(kid="k2"), BODY, JWKS),
        (URL, signed(), BODY, {"keys": [{"kid": "k1", "kty": "EC"}]}),
        (URL, signed(), BODY, {}),
    ):
        with pytest.raises(NotProved) as refused:
            verify_delivery(url, headers, body, jwks)
        assert len(str(refused.value)) > 30
        assert not str(refused.value).endswith(": .")
    with pytest.raises(NotProved, match="does not fit these bytes, headers and address"):
        verify_delivery("https://other.example/hook?x=1", signed(), BODY, JWKS)


def test_an_old_delivery_is_refused_unless_one_says_otherwise():
    headers = signed(age=3600)
    with pytest.raises(NotProved):
        verify_delivery(URL, headers, BODY, JWKS)
    assert verify_delivery(URL, headers, BODY, JWKS, max_age=timedelta(hours=2)).index == 7


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff", b'{"index": 1}'])
def test_a_signed_body_that_is_no_delivery_is_refused(body):
    with pytest.raises(NotProved):
        verify_delivery(URL, signed(body), body, JWKS)
