"""Services by https: the certificate must be for the name, and of an authority that is trusted."""

import datetime
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.http import HttpSource
from exchange.outward.allow import AllowList
from tests.support.called import QUICK, Pair, calling, make_called
from tests.support.upstream import Upstream

NAME = "service.example"


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate of its own authority for NAME, in `folder`/cert.pem; a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def here(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, Path]]:
    folder = tmp_path_factory.mktemp("tls")
    with Upstream(tls=certificate(folder)) as upstream:
        url = f"https://{NAME}:{upstream.port}"
        with calling(make_called(url, resolve=here)) as called:
            yield Pair(called, upstream), folder


def trusting(pair: Pair, context: ssl.SSLContext) -> None:
    """Let the gateway trust what this context does."""
    called = pair.called
    fresh = HttpSource(
        called.connections,
        AllowList("127.0.0.1", public=True),
        resolve=here,
        waits=QUICK,
        tls=context,
    )
    called.source._tls, called.source._pools = fresh._tls, {}


def test_a_service_whose_certificate_is_trusted(served: tuple[Pair, Path]) -> None:
    pair, folder = served
    trusting(pair, ssl.create_default_context(cafile=str(folder / "cert.pem")))
    before = pair.upstream.accepted
    for _ in range(5):
        answer = pair.ask("x", "POST", content=b"body")
        assert (answer.status_code, answer.content) == (200, b"{}")
    assert pair.upstream.came[-1].one("host") == f"{NAME}:{pair.upstream.port}"
    assert pair.upstream.accepted == before + 1, "one connection is used again"


def test_a_certificate_of_nobody_who_is_trusted(served: tuple[Pair, Path]) -> None:
    pair, _ = served
    trusting(pair, ssl.create_default_context())
    came, uses = len(pair.upstream.came), len(pair.called.door.uses)
    pair.refused(502, "upstream_unreachable")
    assert (len(pair.upstream.came), len(pair.called.door.uses)) == (came, uses)


def test_a_certificate_for_another_name(served: tuple[Pair, Path]) -> None:
    pair, folder = served
    trusting(pair, ssl.create_default_context(cafile=str(folder / "cert.pem")))
    pair.called.connect(url=f"https://other.example:{pair.upstream.port}")
    came, uses = len(pair.upstream.came), len(pair.called.door.uses)
    pair.refused(502, "upstream_unreachable")
    assert (len(pair.upstream.came), len(pair.called.door.uses)) == (came, uses)
