"""Take the code of each row of exchange/oauth/THREATS.md out, and look that the row's test fails.

    python -m tests.campaigns.threats [PART OF A NAME …]

In a copy of the repository, after all of these tests together ran as the code is. A test that
cannot be collected shows nothing. Ten minutes.
"""

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.threat_mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
PAGE = Path("exchange/oauth")
LEFT = shutil.ignore_patterns(
    ".*", "__pycache__", "state", "demo", "mine", "node_modules", "*.egg-info"
)
TESTS_FAILED = 1  # pytest's exit status; 2 to 5 are its own troubles


def file_of(test: str) -> str:
    """Return where the threat model says that a test is."""
    text = (ROOT / PAGE / "THREATS.md").read_text("utf-8")
    found = re.search(rf"`(tests/[\w/]+\.py)` `{test}`", text)
    assert found, test
    return f"{found[1]}::{test}"


def mutated(mutation: Mutation, text: str) -> str:
    """Return the code with the edits, which lie in what the row names; raises ValueError."""
    for old, new in mutation.edits:
        if old not in text:
            raise ValueError(f"not there any more: {old}")
        lines = text.splitlines(keepends=True)
        for node in ast.walk(ast.parse(text)):
            if mutation.name not in names_of(node):
                continue
            assert isinstance(node, ast.stmt)
            assert node.end_lineno is not None
            part = "".join(lines[node.lineno - 1 : node.end_lineno])
            if part.count(old) == 1:
                text = "".join(
                    [*lines[: node.lineno - 1], part.replace(old, new), *lines[node.end_lineno :]]
                )
                break
        else:
            raise ValueError(f"not once in {mutation.name}: {old}")
    return text


def names_of(node: ast.AST) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []


def run(copy: Path, *tests: str) -> int:
    """Run tests in the copy until one fails; return pytest's exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True).returncode


def try_one(copy: Path, mutation: Mutation) -> str:
    """Return `noticed`, or why it was not."""
    path, test = (copy / PAGE / mutation.code).resolve(), file_of(mutation.test)
    text = path.read_text("utf-8")
    try:
        changed = mutated(mutation, text)
        ast.parse(changed)
    except (ValueError, SyntaxError) as error:
        return f"NOT TRIED: {error}"
    path.write_text(changed, "utf-8")
    try:
        status = run(copy, test)
    finally:
        path.write_text(text, "utf-8")
    return "noticed" if status == TESTS_FAILED else f"NOT NOTICED: it ends with {status}"


def main(wanted: list[str]) -> int:
    chosen = [each for each in MUTATIONS if not wanted or any(part in each.test for part in wanted)]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=LEFT, symlinks=True)
        if (ROOT / ".tools").exists():
            (copy / ".tools").symlink_to((ROOT / ".tools").resolve())
        if status := run(copy, *dict.fromkeys(file_of(each.test) for each in chosen)):
            print(f"the tests end with {status} as the code is: they show nothing")
            return 1
        for mutation in chosen:
            said = try_one(copy, mutation)
            bad += said != "noticed"
            print(f"{mutation.code} {mutation.name} {mutation.test}: {said}", flush=True)
    print(f"{len(chosen) - bad} of {len(chosen)} are noticed")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
