"""Who the command acts as: a JSON file with the exchange's URL, the client's id and its key."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.formats.tokens import generate_client_key, public_jwks


class ProfileProblem(Exception):
    """The profile cannot be used; the message says what to do."""


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
        fields = {name: document[name] for name in ("url", "client_id", "organisation_id", "key")}
        return Profile(**fields, log_key=document.get("log_key", ""))
    except FileNotFoundError as error:
        raise ProfileProblem(
            f"There is no profile {path}. `exchange profile new {path}` makes one; --profile or "
            "EXCHANGE_PROFILE names another."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProfileProblem(
            f"The profile {path} cannot be read ({type(error).__name__})."
        ) from error


def write_profile(path: Path, profile: Profile) -> None:
    """Write a profile, readable by its owner only."""
    document = {
        "url": profile.url,
        "client_id": profile.client_id,
        "organisation_id": profile.organisation_id,
        "key": profile.key,
        "log_key": profile.log_key,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")


def new_profile(url: str) -> Profile:
    """Return a profile with a fresh key that no exchange knows yet."""
    return Profile(url=url, client_id="", organisation_id="", key=generate_client_key())


def jwks_of(profile: Profile) -> dict[str, Any]:
    """Return the public JWK Set to be registered."""
    return public_jwks(profile.key)
