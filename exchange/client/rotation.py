"""A new key for a program, with no moment in which it could not prove itself.

    1. the new key stands on disk, beside the profile, before anybody hears of it;
    2. it is added, so both keys are good;
    3. it gets a token;
    4. the profile is replaced by it;
    5. the old key is removed.

Cut off before step 4 and called again, it goes on with the same new key.
"""

from dataclasses import replace
from pathlib import Path

from exchange.client.errors import ProfileProblem
from exchange.client.profile import create_profile, jwks_of, new_profile, read_profile
from exchange.client.session import Session
from exchange.formats.jwk import thumbprint


def rotate_key(path: Path, *, keep_old: bool = False) -> tuple[str, str]:
    """Give the client of a profile a new key; return the old and the new one's thumbprints.

    Raises Refused, NotReachable, or ProfileProblem; the profile then still works.
    """
    known, waiting = read_profile(path), path.with_name(path.name + ".next")
    if not waiting.exists():
        create_profile(waiting, replace(known, key=new_profile(known.url).key))  # 1.
    fresh = read_profile(waiting)
    if (fresh.client_id, fresh.url) != (known.client_id, known.url):
        raise ProfileProblem(f"{waiting} is of another client: move it away.")
    before, after = (jwks_of(profile)["keys"][0] for profile in (known, fresh))
    keys = f"/v1/clients/{known.client_id}/keys"
    old, new = Session(known), Session(fresh)
    try:
        old.post(keys, {"jwk": after})  # 2.
        new.sign_in()  # 3.
        waiting.replace(path)  # 4.
        if not keep_old:
            new.request("DELETE", f"{keys}/{thumbprint(before)}")  # 5.
    finally:
        old.close()
        new.close()
    return thumbprint(before), thumbprint(after)
