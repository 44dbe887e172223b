"""What is taken out of the code for each row of exchange/oauth/THREATS.md: its test must notice.

threat_mutations.txt holds them, a blank line between two:

    CODE NAME TEST    as the row has them
    - what stands there, some of one line or of several
    + what is put in its place, if anything; then - and + again, where more must go
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """What of a row's code is replaced: pairs of old and new text."""

    code: str
    name: str
    test: str
    edits: tuple[tuple[str, str], ...]


def read(block: str) -> Mutation:
    """Read one; raises ValueError."""
    head, *lines = block.splitlines()
    edits: list[tuple[list[str], list[str]]] = []
    for line in lines:
        sign, text = line[:2], line[2:]
        if sign == "- ":
            if not edits or edits[-1][1]:
                edits.append(([], []))
            edits[-1][0].append(text)
        elif sign == "+ ":
            edits[-1][1].append(text)
        else:
            raise ValueError(f"neither - nor +: {line}")
    code, name, test = head.split(" ")
    return Mutation(code, name, test, tuple(("\n".join(old), "\n".join(new)) for old, new in edits))


MUTATIONS = [
    read(block.strip("\n"))
    for block in Path(__file__).with_suffix(".txt").read_text("utf-8").split("\n\n")
]
