"""Reads an engine's answer: exactly the decision's shape, or `PolicyUnavailable`."""

import re
from typing import Any, NoReturn, TypeVar

from exchange.policy.model import (
    COUNTED,
    KNOWN_OBLIGATIONS,
    LARGEST,
    Decision,
    Param,
    PolicyUnavailable,
    Reason,
    Remedy,
)

_KEYS = {"decision", "reasons", "remedies", "obligations"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST = 64
"""More reasons, parameters or list members than any policy gives."""

_Coded = TypeVar("_Coded", bound=Reason)


def read_decision(answer: object, digest: str) -> Decision:
    """Return the decision, or raise `PolicyUnavailable` for any other shape.

    A permit carries obligations and no reason, everything else at least one reason and no
    obligation: an answer between the two is nobody's yes.
    """
    if type(answer) is not dict or answer.keys() != _KEYS:
        _refuse("not a decision object")
    outcome = answer["decision"]
    reasons = _coded(answer["reasons"], Reason)
    remedies = _coded(answer["remedies"], Remedy)
    obligations = _obligations(answer["obligations"])
    if outcome == "permit":
        if reasons or remedies or "days" not in obligations:
            _refuse("a permit with reasons, or without its days")
    elif outcome in ("deny", "needs_approval"):
        if obligations or not reasons:
            _refuse("a refusal with obligations, or without a reason")
    else:
        _refuse("an unknown outcome")
    return Decision(outcome, reasons, remedies, obligations, digest)


def _coded(items: Any, kind: type[_Coded]) -> tuple[_Coded, ...]:
    if type(items) is not list or len(items) > _MOST:
        _refuse("reasons and remedies are lists")
    for item in items:
        if type(item) is not dict or item.keys() != {"code", "params"}:
            _refuse("a reason is a code with parameters")
        if not _is_name(item["code"]) or type(item["params"]) is not dict:
            _refuse("a reason is a code with parameters")
        for name, value in item["params"].items():
            if not _is_name(name) or not _is_param(value):
                _refuse("a parameter is a string, an integer or a list of strings")
    return tuple(kind(item["code"], item["params"]) for item in items)


def _obligations(found: Any) -> dict[str, Any]:
    if type(found) is not dict or not found.keys() <= KNOWN_OBLIGATIONS:
        _refuse("an unknown obligation")
    for name, value in found.items():
        if name in COUNTED:
            if type(value) is not int or not 1 <= value <= LARGEST:
                _refuse("an obligation that is no positive integer")
        elif type(value) is not list or not value or not _is_param(value):
            _refuse("an obligation that lists nothing")
    return found


def _is_name(text: object) -> bool:
    return type(text) is str and _NAME.fullmatch(text) is not None


def _is_param(value: Param | Any) -> bool:
    if type(value) is list:
        return len(value) <= _MOST and all(type(item) is str for item in value)
    return type(value) is str or (type(value) is int and abs(value) <= LARGEST)


def _refuse(why: str) -> NoReturn:
    raise PolicyUnavailable(f"the policy engine's answer is not a decision: {why}")
