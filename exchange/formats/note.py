"""Signed notes (C2SP signed-note) and witnesses' cosignatures on them (C2SP tlog-cosignature).

    text, one or more lines
                                              an empty line
    — <name> <base64(key id || signature)>    one or more signatures, the dash is U+2014

A key id is the start of SHA-256(name || 0x0A || type || public key). Type 0x01 is Ed25519 over the
text; type 0x04 is a witness's Ed25519 over a header with the time, then the text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.formats.errors import NoteError
from exchange.formats.text import LARGEST, decode_base64, encode_base64

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_SIGNATURES = 64
MAX_BYTES = 1_000_000

_KEY_SIZE = 32
_SIGNATURE_SIZE = {ED25519: 64, COSIGNATURE: 72}
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: whose key, and for a verified witness when it signed (UTC seconds)."""

    name: str
    key_id: bytes
    time: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A note that a known key signed; `unknown` are the lines of keys that were not at hand."""

    text: str
    verified: tuple[Signature, ...]
    unknown: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key by name: of a log (ED25519) or of a witness (COSIGNATURE)."""

    name: str
    public_key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        _require_name(self.name)
        if self.kind not in _SIGNATURE_SIZE or len(self.public_key) != _KEY_SIZE:
            raise NoteError(f"key type {self.kind} with {len(self.public_key)} bytes is not known")

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read `name+hex(key id)+base64(type || public key)`. Raises NoteError."""
        name, key_id, kind, public_key = _parse_key(vkey)
        verifier = cls(name, public_key, kind)
        if verifier.key_id != key_id:
            raise NoteError("the key's id does not belong to this name and key")
        return verifier

    @property
    def key_id(self) -> bytes:
        """The first four bytes of the hash over name, type and key."""
        name = self.name.encode()
        return sha256(name + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as the text that `parse` reads; give it to whoever shall verify."""
        key = encode_base64(bytes([self.kind]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{key}"

    def verify(self, text: str, signature: bytes) -> Signature:
        """Check a signature (without its key id) over a note's text. Raises NoteError."""
        if len(signature) != _SIGNATURE_SIZE[self.kind]:
            raise NoteError(f"the signature of {self.name} has the wrong length")
        time, message = None, text.encode()
        if self.kind == COSIGNATURE:
            time = int.from_bytes(signature[:8], "big")
            if time > LARGEST:
                raise NoteError(f"the signature of {self.name} has an impossible time")
            message = f"cosignature/v1\ntime {time}\n".encode() + message
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature[-64:], message)
        except (InvalidSignature, ValueError):
            raise NoteError(f"the signature of {self.name} does not verify") from None
        return Signature(self.name, self.key_id, time)


class Signer:
    """A log's private key by name, which signs notes. Keep `secret` in a file of mode 0600."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        self.verifier = Verifier(name, private_key.public_key().public_bytes_raw())
        self._private_key = private_key
        self._key_id = self.verifier.key_id

    @classmethod
    def generate(cls, name: str) -> Self:
        """A new random key."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, secret: str) -> Self:
        """Read the text of `secret`. Raises NoteError, which never quotes it."""
        if not secret.startswith(_PRIVATE):
            raise NoteError("not a private key of signed notes")
        name, key_id, kind, seed = _parse_key(secret.removeprefix(_PRIVATE))
        if kind != ED25519 or len(seed) != _KEY_SIZE:
            raise NoteError("not a private Ed25519 key")
        signer = cls(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.key_id != key_id:
            raise NoteError("the private key's id does not belong to this name and key")
        return signer

    @property
    def secret(self) -> str:
        """`PRIVATE+KEY+name+hex(key id)+base64(type || seed)`, as Go's sumdb/note writes it."""
        seed = encode_base64(bytes([ED25519]) + self._private_key.private_bytes_raw())
        return f"{_PRIVATE}{self.name}+{self.key_id.hex()}+{seed}"

    @property
    def name(self) -> str:
        """The key's name, for a log its origin."""
        return self.verifier.name

    @property
    def key_id(self) -> bytes:
        """The four bytes that precede each signature."""
        return self._key_id

    @property
    def vkey(self) -> str:
        """The public half, to be given to auditors."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        """The signed note. The text ends in a newline; raises NoteError where it may not be one."""
        _require_text(text)
        signature = self._private_key.sign(text.encode())
        return f"{text}\n— {self.name} {encode_base64(self._key_id + signature)}\n"


def open_note(note: str, verifiers: Sequence[Verifier]) -> Opened:
    """Parse a note and check every signature of a known key. Raises NoteError.

    Refused: a malformed note, one bad signature of a known key, two signatures of one key, and no
    signature of a known key. Signatures of unknown keys must be let pass (C2SP signed-note); they
    prove nothing.
    """
    text, lines = _split(note)
    known = {(each.name, each.key_id): each for each in verifiers}
    verified: list[Signature] = []
    unknown: list[Signature] = []
    seen: set[tuple[str, bytes]] = set()
    for name, key_id, signature in _signatures(lines):
        if (name, key_id) in seen:
            raise NoteError(f"two signatures by one key of {name}")
        seen.add((name, key_id))
        if verifier := known.get((name, key_id)):
            verified.append(verifier.verify(text, signature))
        else:
            unknown.append(Signature(name, key_id))
    if not verified:
        raise NoteError("no signature by a known key")
    return Opened(text, tuple(verified), tuple(unknown))


def _split(note: str) -> tuple[str, list[str]]:
    """The text, and the signature lines without their newlines."""
    if len(note) > MAX_BYTES:
        raise NoteError("the note is too long")
    _require_text(note)
    end = note.rfind("\n\n")
    if end < 0:
        raise NoteError("no empty line before signatures")
    text, lines = note[: end + 1], note[end + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"more than {MAX_SIGNATURES} signatures")
    return text, lines


def _signatures(lines: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    """Name, key id and signature of each line."""
    for line in lines:
        dash, *fields = line.split(" ")
        if dash != "—" or len(fields) != 2:
            raise NoteError("a signature line is malformed")
        name, encoded = fields
        _require_name(name)
        signature = decode_base64(encoded, error=NoteError)
        if len(signature) < 5:
            raise NoteError("a signature is too short")
        yield name, signature[:4], signature[4:]


def _parse_key(text: str) -> tuple[str, bytes, int, bytes]:
    match = _VKEY.fullmatch(text)
    if not match:
        raise NoteError("a key reads name+hex(key id)+base64(type || key)")
    key = decode_base64(match[3], error=NoteError)
    if not key:
        raise NoteError("an empty key")
    return match[1], bytes.fromhex(match[2]), key[0], key[1:]


def _require_name(name: str) -> None:
    if not name or "+" in name or any(each.isspace() or each < " " for each in name):
        raise NoteError("a key's name is not empty and has no white space and no plus sign")
    _require_utf8(name)


def _require_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("a note ends in a newline and has no other control characters")
    _require_utf8(text)


def _require_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NoteError("not Unicode that UTF-8 can carry") from None
