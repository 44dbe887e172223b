"""The project's own files, and their Python as trees, for tests that read rules off the source."""

import ast
import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILT = ("policies/build/",)  # what a program wrote


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the project, those not yet added to git among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = sorted(name for name in listed.splitlines() if not name.startswith(BUILT))
    return tuple(ROOT / name for name in names if (ROOT / name).is_file())


def pages() -> list[Path]:
    """What people read: the README, the house, and the documents beside them."""
    documents = sorted((ROOT / "docs").glob("*.md"))
    assert documents
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *documents]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python(*folders: str) -> list[Path]:
    """The Python files below some folders; all of them without."""
    found = [path for path in files() if path.suffix == ".py"]
    return [p for p in found if not folders or name(p).startswith(folders)]


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> set[str]:
    """Full names that a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found
