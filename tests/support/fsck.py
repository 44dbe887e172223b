"""Tessera's fsck as a stranger who judges a log over HTTP.

Its exit code is 0 on failure and it hangs on some flipped bytes: only the line of success counts,
with the size and root that were expected, within the time allowed.
"""

import re
import subprocess
import tempfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from tests.support.infra import find_tool

SUCCESS = re.compile(r"Successfully fsck'd log with size (\d+) and root (\S+) \(([0-9a-f]+)\)")


@dataclass(frozen=True)
class Verdict:
    """Whether fsck found the log of this size and root whole, and what it said."""

    passed: bool
    reason: str
    output: str


def run_fsck(
    url: str,
    vkey: str,
    *,
    size: int,
    root: bytes,
    bearer_token: str = "",
    timeout_seconds: int = 60,
) -> Verdict:
    """Judge the log served below `url` (…/checkpoint, …/tile/…), signed by the key `vkey`."""
    tool = find_tool("fsck")
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "log.vkey"
        key.write_text(vkey + "\n")
        command = [tool, f"-storage_url={url.rstrip('/')}/", f"-public_key={key}", "-ui=false"]
        command += ["-N", "8", "-logtostderr"]
        if bearer_token:
            command += ["-bearer_token", bearer_token]
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                cwd=folder,
            )
        except subprocess.TimeoutExpired as hung:
            output = (hung.stdout or b"").decode(errors="replace")
            return Verdict(False, f"no verdict within {timeout_seconds} s", output)
    return judge(done.stdout.decode(errors="replace"), size, root)


def judge(output: str, size: int, root: bytes) -> Verdict:
    """Read fsck's output: one line of success, about the log that was expected."""
    found = SUCCESS.findall(output)
    if not found:
        return Verdict(False, "no line of success", output)
    if found != [(str(size), b64encode(root).decode(), root.hex())]:
        return Verdict(False, f"another log: {found}", output)
    return Verdict(True, "", output)
