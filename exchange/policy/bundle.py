"""Loads the compiled policies and checks every byte of them against their digest."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.policy.model import BundleError

DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "policies" / "build"
"""Where `make policies` puts the build, seen from a checkout."""

_LOADED = ("policy.wasm", "data.json", "input.json")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Policies of one revision: compiled module, data, the input's JSON Schema.

    `revision` is `sha256:…` over the digests of all of them and of the Rego they come from
    (`policies/build.py` defines it), so it names what decides and not who packed it.
    """

    revision: str
    entrypoint: str
    wasm: bytes
    data: bytes
    schema: dict[str, Any]

    @property
    def purposes(self) -> tuple[str, ...]:
        """The codes of the purposes that an offering can allow."""
        return tuple(json.loads(self.data)["purposes"])


def load_bundle(folder: Path | None = None) -> Bundle:
    """Load and verify a build folder; raises `BundleError` that says what to do."""
    folder = folder or DEFAULT_FOLDER
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        content = {name: (folder / name).read_bytes() for name in _LOADED}
        files = manifest["files"]
        if manifest["revision"] != _digest(_canonical(files)):
            raise BundleError(f"{folder}: the revision is not the digest of the files it lists")
        for name, data in content.items():
            if files[name] != _digest(data):
                raise BundleError(f"{folder / name} was changed: rebuild it with `make policies`")
        return Bundle(
            revision=manifest["revision"],
            entrypoint=manifest["entrypoint"],
            wasm=content["policy.wasm"],
            data=content["data.json"],
            schema=json.loads(content["input.json"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"no complete policies in {folder} ({type(error).__name__}: {error}); "
            "set EXCHANGE_POLICY_DIR or run `make policies`"
        ) from error


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
