"""An auditor's verbs against a running exchange."""

import json
from hashlib import sha256

import pytest

from exchange.client.profile import create_profile
from exchange.formats.jwk import decode_base64url
from exchange.formats.tokens import generate_client_key
from exchange.oauth.keys import TokenKeys
from tests.support.commands import exchange
from tests.support.story import DATABASES, exchange_on, make_world


@pytest.fixture(params=DATABASES)
def place(request, tmp_path):
    """A running exchange with a world in it, and a folder with the auditor's profile."""
    with exchange_on(request.param, tmp_path) as server:
        world = make_world(server)
        create_profile(tmp_path / "profile.json", world.auditor.profile)
        create_profile(tmp_path / "sme.json", world.sme.profile)
        yield world, tmp_path, world.sme.text("/log/key").strip()


def test_the_whole_log_is_verified_and_what_changed_since_is_found(place):
    world, folder, key = place

    def verify(*more):
        return exchange("audit", "verify", "--log-key", key, "--json", *more, cwd=folder)

    first = verify()
    assert first.returncode == 0, first.stderr
    told = json.loads(first.stdout)
    assert told["verified"]
    assert told["consistent_with_size"] is None
    size = told["size"]
    assert told["entries_read"] == size > 10

    world.platform.post(f"/v1/offerings/{world.offering['id']}/withdraw")
    second = json.loads(verify().stdout)
    # the withdrawal, and that the auditor read bundles the first time
    assert (second["size"], second["consistent_with_size"]) == (size + 2, size)
    again = json.loads(verify("--again").stdout)
    assert again["entries_read"] == size + 2
    assert again["root"] == second["root"]

    kept = folder / "profile.json.log-state"
    state = json.loads(kept.read_text())
    other = exchange("audit", "verify", "--log-key", key[:-8] + "AAAAAAA=", cwd=folder)
    assert other.returncode == 2
    # Whose memory is of another log: one hash of what was read before is another's.
    state["edge"][0] = "00" * 32 + state["edge"][0][64:]
    kept.write_text(json.dumps(state))
    found = verify()
    assert found.returncode == 1, found.stdout
    assert json.loads(found.stdout)["code"] == "log_damaged"
    assert "→" in found.stderr


def test_only_who_may_read_all_entries_can_verify(place):
    _, folder, key = place
    done = exchange("audit", "verify", "--log-key", key, "--profile", "sme.json", cwd=folder)
    assert done.returncode == 1
    assert "role_missing" in done.stderr
    unknown = exchange("audit", "verify", cwd=folder)
    assert unknown.returncode == 2
    assert "--log-key" in unknown.stderr


def test_the_log_is_searched_by_the_command(place):
    world, folder, _ = place
    sme = world.sme.profile.organisation_id
    verb = ("log", "list", "--organisation", sme, "--kind", "decision.denied.v1", "--newest")
    found = exchange(*verb, "--json", cwd=folder)
    assert found.returncode == 0, found.stderr
    events = [leaf["event"]["data"] for leaf in json.loads(found.stdout)]
    assert [data["request_id"] for data in events] == [world.denied["id"]]
    wrong = exchange("log", "list", "--since", "yesterday", cwd=folder)
    assert wrong.returncode == 1
    assert "422" in wrong.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_is_checked_and_a_changed_one_refused(place, form):
    world, folder, key = place
    name = f"log.{form}"
    made = exchange(
        *("audit", "export", name, "--organisation", world.sme.profile.organisation_id, "--json"),
        cwd=folder,
    )
    assert made.returncode == 0, made.stderr
    claims = json.loads(made.stdout)
    listed = world.auditor.pages(
        "/v1/log/entries", organisation=world.sme.profile.organisation_id, limit=3
    )
    assert claims["leaves"] == len(list(listed)) > 3
    assert claims["format"] == form
    fetched = f"{world.auditor.profile.url}/oauth/jwks"
    assert claims["check"]["keys_from"] == fetched
    checked = exchange(
        *("audit", "check", name, "--log-key", key, "--profile", "profile.json"), cwd=folder
    )
    assert checked.returncode == 0, checked.stderr
    assert f"of {fetched}" in checked.stdout
    assert "root not compared" in checked.stdout
    assert checked.stderr == ""
    file = folder / name
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    refused = exchange("audit", "check", name, "--trust-kept-keys", cwd=folder)
    assert refused.returncode == 1
    assert "not the one" in refused.stderr


def test_a_forged_export_signed_with_the_forgers_keys_is_not_believed(place):
    world, folder, key = place
    name, file = "log.jsonl", folder / "log.jsonl"
    assert exchange("audit", "export", name, cwd=folder).returncode == 0
    good = folder / "good.jwks"
    good.write_text(world.sme.text("/oauth/jwks"))

    def check(*more):
        return exchange("audit", "check", name, *more, cwd=folder)

    kept = check()
    assert kept.returncode == 1
    assert "beside the file" in kept.stdout
    assert "--jwks" in kept.stderr
    assert check("--jwks", f"{name}.jwks").returncode == 1
    assert check("--trust-kept-keys").returncode == 0
    assert check("--jwks", "good.jwks").returncode == 0
    assert check("--jwks", "good.jwks", "--profile", "sme.json").returncode == 2
    # The log's key vouches for all entries, whoever signed the manifest.
    met = check("--log-key", key, "--json")
    assert met.returncode == 0, met.stderr
    said = json.loads(met.stdout)["check"]
    assert (said["proved"], said["root_compared"]) == (True, True)
    assert "who exported them" in met.stderr

    data = file.read_bytes().replace(b"decision.denied", b"decision.gotten")
    assert data != file.read_bytes()
    file.write_bytes(data)
    forger = TokenKeys([generate_client_key()])
    manifest = folder / f"{name}.manifest"
    _, payload, _ = manifest.read_text().split(".")
    claims = json.loads(decode_base64url(payload))
    manifest.write_text(forger.sign_manifest({**claims, "sha256": sha256(data).hexdigest()}))
    (folder / f"{name}.jwks").write_text(json.dumps(forger.jwks))
    for more in (
        (),
        ("--log-key", key),
        ("--log-key", key, "--trust-kept-keys"),
        ("--jwks", "good.jwks"),
        ("--profile", "profile.json"),
    ):
        assert check(*more).returncode == 1, more
    # With a filter claimed the root cannot be compared; the keys beside it still prove nothing.
    part = {**claims, "sha256": sha256(data).hexdigest(), "filters": ["org:x"]}
    manifest.write_text(forger.sign_manifest(part))
    assert check("--log-key", key).returncode == 1
