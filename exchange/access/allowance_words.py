"""Words for what the gateway refuses, from the catalogue `uses`, in English and Chinese."""

from collections.abc import Iterable, Mapping
from typing import Any

from exchange.locales import gettext


def said(code: str, params: Mapping[str, Any], lang: str) -> str | None:
    """Return the text of a code, None where there is none for it with these parameters."""
    text = gettext("uses", lang)(code)
    try:
        return text % params if text != code else None
    except (KeyError, ValueError):
        return None


def worded(remedies: Iterable[Mapping[str, Any]], lang: str) -> list[dict[str, Any]]:
    """Return remedies with their texts in a language."""
    return [{**each, "text": _text(each["code"], each["params"], lang)} for each in remedies]


def _text(code: str, params: Mapping[str, Any], lang: str) -> str:
    return said(f"{code}_at" if "at" in params else code, params, lang) or code
