"""A webhook's receiver on loopback: it keeps what came and answers as it is told."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc import jwk


@dataclass(frozen=True)
class Delivery:
    """One request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def index(self) -> int:
        return json.loads(self.body)["index"]

    @property
    def event(self) -> dict:
        return json.loads(self.body)["event"]

    @property
    def id(self) -> str:
        return self.headers["exchange-delivery"]


def verify(delivery: Delivery, origin: str, jwks: dict) -> None:
    """RFC 9421 by hand, without the library that signed: raises when anything was changed."""
    digest = base64.b64encode(hashlib.sha256(delivery.body).digest()).decode()
    assert delivery.headers["content-digest"] == f"sha-256=:{digest}:"
    label, _, parameters = delivery.headers["signature-input"].partition("=")
    covered = parameters[1 : parameters.index(")")].replace('"', "").split()
    assert {"@method", "@target-uri", "content-type", "content-digest"} <= set(covered)
    assert 'alg="ecdsa-p256-sha256"' in parameters
    assert ";created=" in parameters
    derived = {"@method": "POST", "@target-uri": origin + delivery.path}
    lines = [f'"{name}": {derived.get(name) or delivery.headers[name]}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = base64.b64decode(delivery.headers["signature"].removeprefix(f"{label}=").strip(":"))
    kid = parameters.partition('keyid="')[2].partition('"')[0]
    (key,) = [each for each in jwks["keys"] if each["kid"] == kid]
    encoded = encode_dss_signature(
        int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    )
    jwk.import_key(key).public_key.verify(encoded, base.encode(), ec.ECDSA(hashes.SHA256()))


Answer = Callable[["Receiver", Delivery], tuple[int, dict[str, str]]]


class Receiver:
    """`with Receiver() as r`: `r.url`, `r.taken` (answered 2xx), `r.came` (all)."""

    def __init__(self, answer: Answer | None = None, port: int = 0) -> None:
        self.answer: Answer = answer or (lambda _receiver, _delivery: (204, {}))
        self.came: list[Delivery] = []
        self.taken: list[Delivery] = []
        self.released = threading.Event()  # what hangs goes on
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                delivery = Delivery(self.path, headers, body)
                receiver.came.append(delivery)
                status, more = receiver.answer(receiver, delivery)
                if 200 <= status < 300:
                    receiver.taken.append(delivery)
                self.send_response(status)
                for name, value in ({"Content-Length": "0"} | more).items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # the sender went away
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/hook?x=1"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
