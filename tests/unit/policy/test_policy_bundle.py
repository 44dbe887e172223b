"""The committed policies are loaded whole and unchanged, or not at all; so is their cache."""

import json
import shutil
import stat
from pathlib import Path

import pytest

from exchange.policy import BundleError, PolicyError, load_bundle, open_engine
from exchange.policy.compiled import load_module, new_engine
from tests.support.opa import ROOT
from tests.support.policy_inputs import sample

BUILD = ROOT / "policies" / "build"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUILD, tmp_path / "build"))


def test_the_committed_bundle() -> None:
    bundle = load_bundle()
    assert bundle.revision == load_bundle(BUILD).revision
    assert bundle.revision.startswith("sha256:")
    assert "logistics_planning" in bundle.purposes


@pytest.mark.parametrize("name", ["policy.wasm", "data.json", "input.json", "manifest.json"])
def test_a_changed_or_missing_file_is_refused(build: Path, name: str) -> None:
    path = build / name
    original = path.read_bytes()
    for place in range(0, len(original), max(1, len(original) // 25)):
        changed = bytearray(original)
        changed[place] ^= 1
        path.write_bytes(changed)
        if name == "manifest.json" and same_meaning(changed, original):
            continue
        with pytest.raises(BundleError):
            load_bundle(build)
    path.unlink()
    with pytest.raises(BundleError, match="EXCHANGE_POLICY_DIR"):
        load_bundle(build)


def same_meaning(changed: bytes, original: bytes) -> bool:
    """Whether only white space or what the revision does not cover changed."""
    try:
        found, before = json.loads(changed), json.loads(original)
    except ValueError:
        return False
    return all(found.get(key) == before[key] for key in ("revision", "files", "entrypoint"))


def test_swapped_policies_with_their_own_digest_are_refused(build: Path) -> None:
    """Whoever lists another module's digest has another revision, or is found out."""
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["files"]["policy.wasm"] = "sha256:" + "0" * 64
    (build / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="revision"):
        load_bundle(build)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"files": 1, "revision": "x"}'])
def test_a_manifest_that_is_none(build: Path, text: str) -> None:
    (build / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        load_bundle(build)


async def test_cache_is_private_and_reused(tmp_path: Path) -> None:
    cache = tmp_path / "state" / "modules"
    assert (await open_engine("embedded", cache_dir=cache).decide(sample())).outcome == "permit"
    (file,) = cache.iterdir()
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = file.stat().st_mtime_ns
    assert (await open_engine("embedded", cache_dir=cache).decide(sample())).outcome == "permit"
    assert file.stat().st_mtime_ns == written


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
async def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    open_engine("embedded", cache_dir=tmp_path / "c")
    (file,) = (tmp_path / "c").iterdir()
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "empty": b"",
            "foreign": b"\x7fELF" + content,
        }[damage]
    )
    engine = open_engine("embedded", cache_dir=tmp_path / "c")
    assert (await engine.decide(sample())).outcome == "permit"
    assert file.read_bytes() == content


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o705])
def test_a_cache_that_others_may_enter_is_refused(tmp_path: Path, mode: int) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(mode)
    with pytest.raises(PolicyError, match="chmod 700"):
        open_engine("embedded", cache_dir=cache)


def test_a_cache_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PolicyError, match="chmod 700"):
        open_engine("embedded", cache_dir=tmp_path / "cache")


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(PolicyError, match="not a Wasm module"):
        load_module(new_engine(), b"\0asm nonsense", None)


def test_a_cache_that_cannot_be_made_is_said_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PolicyError, match="cannot be used"):
        open_engine("embedded", cache_dir=tmp_path / "file" / "cache")
