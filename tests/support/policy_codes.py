"""The codes that the Rego can give, with their parameters, read from its source."""

import re
from pathlib import Path

RULES = Path(__file__).resolve().parents[2] / "policies" / "exchange"
SOURCES = sorted(path for path in RULES.rglob("*.rego") if not path.name.endswith("_test.rego"))

_REMEDIES = {"choose_purpose", "shorten_duration", "choose_action"} | {
    "declare_attribute",
    "raise_evidence",
}
_CODED = re.compile(r'"code":\s*"(\w+)",\s*"params":\s*\{(.*?)\}', re.DOTALL)

_FOUND = {
    code: set(re.findall(r'"(\w+)":', params))
    for path in SOURCES
    for code, params in _CODED.findall(path.read_text())
}
REASON_PARAMS = {code: params for code, params in _FOUND.items() if code not in _REMEDIES}
REMEDY_PARAMS = {code: params for code, params in _FOUND.items() if code in _REMEDIES}
