"""Services that would hold the exchange up or lead it inward when a connection is tried."""

import asyncio
import datetime
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exchange.connections.check_connection import ReachChecker, check_connection
from exchange.connections.model import Connection
from exchange.outward.allow import AllowList
from tests.support.connections import PLANTED, Platform, header
from tests.support.desk import open_world
from tests.support.ledgers import open_exchange

SECRET = {"header": "X-Api-Key", "value": PLANTED}


def connection(url: str) -> Connection:
    return Connection("con_1", "org_1", "http", "a", url, {}, "header", 0, 1, 0, 0)


async def tried(url, allow="127.0.0.1", *, public=True, resolve=None, tls=None, seconds=2.0):
    """What came of trying a connection, and how long it took."""
    checker = ReachChecker(
        AllowList(allow, public=public), resolve=resolve, total_seconds=seconds, ssl_context=tls
    )
    started = time.monotonic()
    try:
        found = await checker.check(connection(url), SECRET)
    finally:
        await checker.aclose()
    assert PLANTED not in repr(found)
    assert found.works == (found.code == "reachable")
    assert found.detail
    return found.code, time.monotonic() - started


class Answering:
    """A server that says what it is told, and keeps what it was asked."""

    def __init__(self, says=b"", tls=None, *, holds=0.0) -> None:
        self.says, self.tls, self.holds, self.asked = says, tls, holds, b""

    async def __aenter__(self) -> "Answering":
        self._server = await asyncio.start_server(self._one, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _one(self, reader, writer) -> None:
        self.asked += await reader.read(65536)
        await asyncio.sleep(self.holds)
        writer.write(self.says)
        await writer.drain()
        writer.close()


def status(code: int, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Told\r\ncontent-length: 0\r\n%s\r\n" % (code, more)


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (status(200), "reachable"),
        (status(404), "reachable"),
        (status(405), "reachable"),
        (status(500), "reachable"),
        (status(401), "credential_refused"),
        (status(403), "credential_refused"),
        (status(302, b"location: http://169.254.169.254/\r\n"), "reachable"),
        (b"220 mail.example ESMTP\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000, "not_http"),
        (b"", "not_http"),
        (status(200, f"x-secret: {PLANTED}\r\n".encode()), "reachable"),
    ],
)
async def test_what_a_service_answers(says, code):
    """A redirect is not followed: one request, and nothing of the answer but its status counts."""
    async with Answering(says) as service:
        found, _ = await tried(f"http://127.0.0.1:{service.port}/v1")
        assert found == code
        assert service.asked.startswith(b"HEAD /v1 HTTP/1.1\r\n")
        assert service.asked.count(b"HEAD") == 1
        assert f"X-Api-Key: {PLANTED}".encode() in service.asked


async def test_one_that_never_answers_is_left():
    async with Answering(status(200), holds=30) as service:
        found, seconds = await tried(f"http://127.0.0.1:{service.port}/", seconds=0.5)
    assert found == "timed_out"
    assert seconds < 10


async def test_one_that_is_not_there():
    async with Answering() as service:
        port = service.port
    found, _ = await tried(f"http://127.0.0.1:{port}/")
    assert found == "not_reached"


@pytest.mark.parametrize(
    "inward",
    [
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
async def test_a_name_that_leads_inward_is_not_followed(inward):
    """Public as the name is, the address that it resolves to counts."""

    async def resolve(host, port):
        return [inward]

    found, _ = await tried("https://public.example/", allow="", resolve=resolve)
    assert found == "address_not_allowed"


async def test_a_name_that_changes_is_checked_when_connecting():
    """Between the check of the URL and the connection there is no second look-up."""
    answers, asked = [["93.184.216.34"], ["127.0.0.1"]], []

    async def resolve(host, port):
        asked.append(host)
        return answers[min(len(asked) - 1, 1)]

    async with Answering(status(200)) as service:
        await tried(
            f"https://changing.example:{service.port}/", allow="", resolve=resolve, seconds=0.3
        )
        found, _ = await tried(
            f"https://changing.example:{service.port}/", allow="", resolve=resolve, seconds=0.3
        )
        assert found == "address_not_allowed"
        assert service.asked == b""
    assert len(asked) == 2


async def test_a_name_that_nobody_knows():
    async def resolve(host, port):
        raise socket.gaierror(-2, "Name or service not known")

    found, _ = await tried("https://nobody.example/", allow="", resolve=resolve)
    assert found == "name_unknown"


async def test_an_address_that_is_not_allowed_any_more():
    found, _ = await tried("http://127.0.0.1:9/", allow="10.0.0.0/8")
    assert found == "url_not_allowed"


def certificate(folder, name: str) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def resolve_here(host, port):
    return ["127.0.0.1"]


async def test_tls_is_checked(tmp_path):
    """Neither a stranger's certificate nor another name's; nor a service without TLS."""
    served = certificate(tmp_path, "service.example")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    async with Answering(status(200), served) as service:
        for name, tls, code in (
            ("service.example", None, "tls_failed"),
            ("another.example", trusting, "tls_failed"),
            ("service.example", trusting, "reachable"),
        ):
            service.asked = b""
            url = f"https://{name}:{service.port}/"
            found, _ = await tried(url, resolve=resolve_here, tls=tls)
            assert found == code
            assert (PLANTED.encode() in service.asked) == (code == "reachable")
    async with Answering(status(200)) as service:
        found, _ = await tried(f"https://service.example:{service.port}/", resolve=resolve_here)
        assert found == "tls_failed"


async def test_a_check_says_when_the_credential_cannot_be_opened(database):
    async with open_exchange(database, upstream_allow="127.0.0.1") as parts:
        platform = Platform(parts, (await open_world(parts)).platform)
        async with Answering(status(200)) as service:
            made = await platform.service(header(), url=f"http://127.0.0.1:{service.port}/")
            checkers = {"http": parts.reach, "s3": parts.reach}
            ask = (platform.desk, checkers, platform.caller, made.id)
            assert (await check_connection(*ask)).code == "reachable"
            database.sql("UPDATE connection_secrets SET sealed = 'x' WHERE id = ?", made.id)
            service.asked = b""
            assert (await check_connection(*ask)).code == "credential_unreadable"
            assert service.asked == b""
