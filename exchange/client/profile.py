"""Who the command acts as: a JSON file with the exchange's URL, the client's id and its key."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exchange.client.errors import ProfileProblem
from exchange.formats.errors import FormatError
from exchange.formats.tokens import generate_client_key, public_jwks


@dataclass(frozen=True, slots=True)
class Profile:
    """A client of one exchange. `log_key` is the verifier key that was obtained beforehand."""

    url: str
    client_id: str
    organisation_id: str
    key: dict[str, Any]
    log_key: str = ""


def read_profile(path: Path) -> Profile:
    """Read a profile; raises ProfileProblem."""
    try:
        document = json.loads(path.read_text("utf-8"))
        texts = {name: document[name] for name in ("url", "client_id", "organisation_id")}
        profile = Profile(**texts, key=document["key"], log_key=document.get("log_key", ""))
    except FileNotFoundError as error:
        raise ProfileProblem(
            f"There is no profile {path}. `exchange profile new {path}` makes one; --profile or "
            "EXCHANGE_PROFILE names another."
        ) from error
    except OSError as error:
        raise ProfileProblem(f"The profile {path} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, f"{type(error).__name__}: {error}") from error
    fields = (*texts.values(), profile.log_key)
    if not all(isinstance(field, str) for field in fields) or not isinstance(profile.key, dict):
        raise _broken(path, "a member is of the wrong type")
    if not profile.url.startswith(("http://", "https://")):
        raise _broken(path, "its url does not begin with http:// or https://")
    return profile


def _broken(path: Path, why: str) -> ProfileProblem:
    return ProfileProblem(
        f"{path} is no profile ({why}). Restore it from a copy, or make another: "
        "`exchange profile new PATH`."
    )


def create_profile(path: Path, profile: Profile) -> None:
    """Write a new profile, readable by its owner only; raises ProfileProblem if one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(path, profile)
    except FileExistsError as error:
        raise ProfileProblem(f"{path} exists already; a key is never overwritten.") from error


def update_profile(path: Path, profile: Profile) -> None:
    """Write what became known of a profile; raises ProfileProblem where its key would be lost."""
    if read_profile(path).key != profile.key:
        raise ProfileProblem(f"{path} holds another key; a key is never overwritten.")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(fresh, profile)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _write(path: Path, profile: Profile) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(asdict(profile), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())


def new_profile(url: str) -> Profile:
    """Return a profile with a fresh key that no exchange knows yet."""
    return Profile(url=url, client_id="", organisation_id="", key=generate_client_key())


def jwks_of(profile: Profile) -> dict[str, Any]:
    """Return the public JWK Set to be registered; raises ProfileProblem."""
    try:
        return public_jwks(profile.key)
    except FormatError as error:
        raise ProfileProblem(f"The profile's key cannot be used: {error}.") from error
