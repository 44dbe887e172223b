"""English among Chinese: what a reader of Chinese would have to be able to read."""

import re

COMMANDS = re.compile(
    r"`[^`]*`|^ +(?:\.venv/bin/)?exchange .*$|^ +curl .*$|\bGET \S+", re.MULTILINE
)
WORDS = re.compile(r"\b[A-Za-z]{2,}(?: [A-Za-z]{2,})+\b")


def english(said: str) -> list[str]:
    """Every two words and more; names, codes and commands are none."""
    return WORDS.findall(COMMANDS.sub("", said))
