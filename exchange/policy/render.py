"""Puts reason and remedy codes into words, from the catalogues in exchange/locales.

Rego, tables and the log hold codes only. A code without a text is shown as the code: a refusal is
never hidden by a missing translation.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from exchange.policy.model import Param

LANGUAGES: Final = ("en", "zh")
_FOLDER: Final = Path(__file__).resolve().parents[1] / "locales"
_SEPARATOR: Final = {"en": ", ", "zh": "、"}
_NAMED_BY: Final = {
    "actions": "action",
    "level": "evidence",
    "purposes": "purpose",
}
"""Parameters whose values are labelled under another parameter's name."""


def render(code: str, params: Mapping[str, Param], lang: str) -> str:
    """Return the sentence for a code in `lang` ("en", "zh", "zh-CN", …; English otherwise)."""
    lang = _language(lang)
    template = _text(code, None, lang)
    if template is None:
        return code
    try:
        return template % {name: _words(name, value, lang) for name, value in params.items()}
    except (KeyError, ValueError):  # an older entry's code may have had other parameters
        return code


def label(kind: str, value: str, lang: str) -> str:
    """Return the name of a purpose, size, attribute, status, … ; the value itself if it has none.

    `kind` is the parameter's name in the singular: purpose, size, attribute, evidence, action,
    kind, status, role, personal_information.
    """
    return _text(value, kind, _language(lang)) or value


def _words(name: str, value: Param, lang: str) -> str:
    if isinstance(value, list):
        return _SEPARATOR[lang].join(_words(name, item, lang) for item in value)
    return label(_NAMED_BY.get(name, name), str(value), lang)


def _language(lang: str) -> str:
    primary = lang.replace("_", "-").split("-", 1)[0].lower()
    return primary if primary in LANGUAGES else "en"


def _text(msgid: str, context: str | None, lang: str) -> str | None:
    message = _catalogue(lang).get(msgid, context) if msgid else None
    return str(message.string) if message is not None and message.string else None


@cache
def _catalogue(lang: str) -> Catalog:
    with (_FOLDER / lang / "LC_MESSAGES" / "decisions.po").open("rb") as file:
        return read_po(file, locale=lang)
