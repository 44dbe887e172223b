"""Message catalogues (gettext .po): English and Chinese."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po

FOLDER = Path(__file__).parent


@cache
def gettext(domain: str, lang: str) -> Callable[[str], str]:
    """Return a function from message ids of `domain` to their texts in `lang` ("en" or "zh").

    A message without a text is shown as its id: a missing translation hides nothing.
    """
    path = FOLDER / lang / "LC_MESSAGES" / f"{domain}.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale=lang)
    texts = {str(m.id): str(m.string) for m in catalog if m.id and m.string}

    def text(message: str) -> str:
        return texts.get(message, message)

    return text
