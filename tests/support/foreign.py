"""Other people's clients as processes that do a step for each line of JSON, and tell what came."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joserfc import jwk

from exchange.formats.tokens import public_jwks
from tests.support.infra import ROOT, infra_module, need

HERE = ROOT / "tests" / "foreign"
KEYS = {
    "ES256": lambda: jwk.ECKey.generate_key("P-256"),
    "PS256": lambda: jwk.RSAKey.generate_key(2048),
    "Ed25519": lambda: jwk.OKPKey.generate_key("Ed25519"),
}


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK for one of KEYS, with its thumbprint as kid."""
    key = KEYS[algorithm]()
    return {**key.as_dict(private=True), "kid": key.thumbprint(), "use": "sig"}


def registered(by: Any, org_id: str, key: dict[str, Any] | None, **how: Any) -> dict[str, Any]:
    """Register, as the operator, a client of an organisation; with its secret, if it has one.

    Not all of them know DPoP: those that do have bound tokens, since they send proofs.
    """
    keys = {"jwks": public_jwks(key)} if key is not None else {}
    document = {"name": "Theirs", "dpop_bound_access_tokens": False, **keys, **how}
    return by.post(f"/v1/organisations/{org_id}/clients", document)


def details(offering: dict[str, Any], **changes: Any) -> str:
    """The authorization_details of a request for access to an offering."""
    asked = {"type": "dataset", "offering": offering["id"], "purpose": "logistics_planning"}
    return json.dumps([asked | {"actions": ["read"], "days": 30} | changes])


class ForeignClient:
    """A script around one unmodified library."""

    def __init__(self, command: list[str | Path]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def do(self, step: str, **given: Any) -> dict[str, Any]:
        """Do a step, whatever comes of it: `failed` holds what the library raised."""
        self._process.stdin.write(json.dumps({"do": step, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the script ended with {self._process.wait()}"
        return json.loads(line)

    def done(self, step: str, **given: Any) -> dict[str, Any]:
        """Do a step that must succeed."""
        told = self.do(step, **given)
        assert "failed" not in told, told
        return told

    def failed(self, step: str, **given: Any) -> dict[str, Any]:
        """Do a step that must fail, and return how."""
        told = self.do(step, **given)
        assert "failed" in told, told
        return told["failed"]

    def end(self) -> None:
        """End the process: it reads to the end of its lines."""
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def openid_client() -> Iterator[ForeignClient]:
    """openid-client, in Node.js; skips (in CI fails) where it is not here."""
    folder = _folder("openid-client")
    node = shutil.which("node")
    if node is None:
        need("Node.js is not here: install it and run `make infra`")
    yield from _running([node, HERE / "openid_client" / "drive.mjs", folder])


@contextmanager
def python_client(script: str) -> Iterator[ForeignClient]:
    """A script of tests/foreign/python, in the environment of foreign clients; else as above."""
    folder = _folder("Python")
    yield from _running([folder / "bin" / "python", HERE / "python" / script])


def _running(command: list[str | Path]) -> Iterator[ForeignClient]:
    client = ForeignClient(command)
    try:
        yield client
    finally:
        client.end()


def _folder(name: str) -> Path:
    [clients] = [each for each in infra_module("foreign").CLIENTS if each.name == name]
    if not clients.is_installed():
        need(f"the foreign clients ({name}) are not here: run `make infra`")
    return clients.folder
