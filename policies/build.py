"""Build the policies: check, format, test with full coverage, compile to Wasm, name by digest.

    python policies/build.py            rebuild policies/build
    python policies/build.py --check    fail unless policies/build is what the source gives

Needs the OPA executable (`make infra` puts it in .tools/bin); nothing but Python's own library.
The revision is the SHA-256 of the canonical JSON of `files` in manifest.json: each policy, the
data, the input's schema and the compiled module, by its own SHA-256.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
ENTRYPOINT = "exchange/decision"
SOURCES = ["exchange", "data"]
TESTS = "*_test.rego"


def find_opa() -> str:
    """Return the OPA executable: .tools/bin of the repository first, then PATH."""
    local = HERE.parent / ".tools" / "bin" / "opa"
    found = str(local) if os.access(local, os.X_OK) else shutil.which("opa")
    if not found:
        sys.exit("The OPA executable is missing: run `make infra`, or put opa 1.20.2 on the PATH.")
    return found


def opa(*arguments: str) -> str:
    """Run OPA in policies/ and return what it printed; a failure ends the build with its words."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EXPERIMENTAL_WASM")}
    done = subprocess.run(
        [find_opa(), *arguments], cwd=HERE, env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"opa {' '.join(arguments[:2])} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def opa_version() -> str:
    """Return OPA's version, such as 1.20.2."""
    return opa("version").splitlines()[0].removeprefix("Version: ")


def prove() -> None:
    """Check, format, test: everything that must hold before the policies are compiled."""
    capabilities = ["--capabilities", "capabilities.json"]
    opa("check", "--strict", *capabilities, "--schema", "schema/input.json", *SOURCES)
    opa("fmt", "--fail", "--list", "exchange")
    opa("test", *SOURCES)
    report = json.loads(opa("test", "--coverage", "--format", "json", *SOURCES))
    lacking = {
        name: file["not_covered"] for name, file in report["files"].items() if "not_covered" in file
    }
    if lacking or report["coverage"] != 100:
        sys.exit(f"opa test covers {report['coverage']} %; not covered: {json.dumps(lacking)}")


def digest(content: bytes) -> str:
    """Return the content's SHA-256 as `sha256:` and hexadecimal digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys and no white space (RFC 8785 for the ASCII strings here)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def compile_policies(scratch: Path) -> dict[str, bytes]:
    """Return what decides, by path: the policies as written, data.json, policy.wasm."""
    target = scratch / "compiled.tar.gz"
    opa(
        "build",
        *("--target", "wasm", "--entrypoint", ENTRYPOINT),
        *("--capabilities", "capabilities.json", "--ignore", TESTS),
        *("--output", str(target), *SOURCES),
    )
    content = {
        path.relative_to(HERE).as_posix(): path.read_bytes()
        for path in (HERE / "exchange").rglob("*.rego")
        if not path.match(TESTS)
    }
    # Not the archive's own Rego: OPA leaves out of it what went into the module.
    with tarfile.open(target) as archive:
        for name in ("data.json", "policy.wasm"):
            stream = archive.extractfile("/" + name)
            content[name] = stream.read() if stream else sys.exit(f"opa build gave no {name}")
    return content


def pack(files: dict[str, bytes]) -> bytes:
    """Return a gzipped tar of the files, the same bytes for the same files on one machine."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def build(target: Path) -> str:
    """Write the build into an existing folder and return its revision."""
    with tempfile.TemporaryDirectory() as scratch:
        content = compile_policies(Path(scratch))
    content["data.json"] = canonical(json.loads(content["data.json"]))
    schema = (HERE / "schema" / "input.json").read_bytes()
    files = {name: digest(data) for name, data in {**content, "input.json": schema}.items()}
    revision = digest(canonical(files))
    manifest = {
        "revision": revision,
        "entrypoint": ENTRYPOINT,
        "opa_version": opa_version(),
        "files": files,
    }
    wasm = content.pop("policy.wasm")
    roots = ["exchange", *json.loads(content["data.json"])]
    served = {".manifest": canonical({"revision": revision, "roots": roots, "rego_version": 1})}
    (target / "policy.wasm").write_bytes(wasm)
    (target / "data.json").write_bytes(content["data.json"])
    (target / "input.json").write_bytes(schema)
    (target / "bundle.tar.gz").write_bytes(pack({**content, **served}))
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return revision


def differences(fresh: Path, committed: Path) -> list[str]:
    """Return the names of files that differ; archives are compared unpacked (zlibs differ)."""

    def read(folder: Path, name: str) -> bytes:
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        return gzip.decompress(content) if name.endswith(".gz") and content else content

    names = {path.name for folder in (fresh, committed) for path in folder.iterdir()}
    return sorted(name for name in names if read(fresh, name) != read(committed, name))


def check(committed: Path) -> None:
    """End with a message unless the committed build is what the source gives."""
    made_with = json.loads((committed / "manifest.json").read_text())["opa_version"]
    if made_with != opa_version():
        sys.exit(f"{committed} was built by OPA {made_with}, this is {opa_version()}: `make infra`")
    with tempfile.TemporaryDirectory() as fresh:
        build(Path(fresh))
        changed = differences(Path(fresh), committed)
    if changed:
        sys.exit(f"{committed} is not what the source gives ({', '.join(changed)}): make policies")


def main() -> None:
    """Build or check, and say what was done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--check", action="store_true", help="only compare with the committed build"
    )
    parser.add_argument("--build-dir", type=Path, default=BUILD, help="default: policies/build")
    arguments = parser.parse_args()
    prove()
    if arguments.check:
        check(arguments.build_dir)
        print(f"{arguments.build_dir} is what the source gives.")
        return
    arguments.build_dir.mkdir(exist_ok=True)
    print(f"Built {arguments.build_dir}: {build(arguments.build_dir)}")


if __name__ == "__main__":
    main()
