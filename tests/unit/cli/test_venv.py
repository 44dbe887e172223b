"""infra/venv.sh: what stands in the way is said before anything is made."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.server import ROOT

TOOLS = ("sh", "grep", "mkdir", "pwd", "rm", "sleep", "tail", "touch")
PYTHON = """#!{sh}
[ "$1" = --version ] && echo "Python {version}" && exit
exec "{python}" -c "import sys; sys.version_info = {tuple}; exec(sys.argv[1])" "$2"
"""


@pytest.fixture
def place():
    """A folder that everybody may read, with a copy of the script and a PATH of its own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    for name in ("bin", "infra"):
        (folder / name).mkdir()
    for name in TOOLS:
        (folder / "bin" / name).symlink_to(shutil.which(name))
    shutil.copy(ROOT / "infra" / "venv.sh", folder / "infra")
    yield folder
    shutil.rmtree(folder)


def add_python(place: Path, name: str, *version: int, python: str = sys.executable) -> Path:
    """A Python that says it has this version."""
    text = PYTHON.format(
        sh=shutil.which("sh"), version=".".join(map(str, version)), tuple=version, python=python
    )
    path = place / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def set_up(place: Path, **more) -> subprocess.CompletedProcess:
    env = {"PATH": str(place / "bin"), **more.pop("env", {})}
    script = [shutil.which("sh"), "infra/venv.sh", "run"]
    return subprocess.run(script, cwd=place, env=env, capture_output=True, text=True, **more)


def test_an_old_python_is_named_and_what_to_do(place):
    add_python(place, "python3", 3, 9, 18)
    add_python(place, "python3.14", 3, 15, 0)
    done = set_up(place)
    assert done.returncode == 2, done
    assert "needs Python 3.11 to 3.14 with venv; python3 is: Python 3.9.18" in done.stderr
    assert "apt-get install python3.11-venv" in done.stderr
    assert "make run PYTHON=/path/to/python3.11" in done.stderr
    assert not (place / ".venv").exists()


def test_no_python_at_all(place):
    done = set_up(place)
    assert done.returncode == 2, done
    assert "needs Python 3.11 to 3.14" in done.stderr
    assert not (place / ".venv").exists()


def test_the_python_that_is_asked_for_is_not_passed_over(place):
    add_python(place, "python3", 3, 11, 2)
    old = add_python(place, "mine", 3, 8, 1)
    done = set_up(place, env={"PYTHON": str(old)})
    assert done.returncode == 2, done
    assert f"{old} is: Python 3.8.1" in done.stderr


def test_a_folder_that_cannot_be_written(place):
    add_python(place, "python3", 3, 11, 2, python="/bin/true")
    place.chmod(0o555)
    who = {"user": 65534} if os.geteuid() == 0 else {}
    done = set_up(place, **who)
    place.chmod(0o755)
    assert done.returncode == 2, done
    assert f"No permission to write in {place}." in done.stderr
    assert "Clone into a folder of your own, or change its owner." in done.stderr
