"""Only a decision's exact shape is a decision."""

import copy
from typing import Any

import pytest

from exchange.policy import Decision, PolicyUnavailable, Reason, Remedy
from exchange.policy.answer import read_decision

PERMIT: dict[str, Any] = {
    "decision": "permit",
    "reasons": [],
    "remedies": [],
    "obligations": {"days": 30, "sessions": 5},
}
DENY: dict[str, Any] = {
    "decision": "deny",
    "reasons": [{"code": "duration_too_long", "params": {"days": 91, "max_days": 90}}],
    "remedies": [{"code": "choose_purpose", "params": {"purposes": ["a", "b"]}}],
    "obligations": {},
}


def test_what_is_read() -> None:
    permit = Decision("permit", (), (), {"days": 30, "sessions": 5}, "sha256:x")
    assert read_decision(PERMIT, "sha256:x") == permit
    deny = read_decision(DENY, "sha256:x")
    assert deny.reasons == (Reason("duration_too_long", {"days": 91, "max_days": 90}),)
    assert deny.remedies == (Remedy("choose_purpose", {"purposes": ["a", "b"]}),)
    assert deny.as_document() == DENY
    assert permit.as_document() == PERMIT
    waiting = {**DENY, "decision": "needs_approval", "remedies": []}
    assert read_decision(waiting, "").outcome == "needs_approval"


def coded(code: Any = "x", params: Any = None) -> list[Any]:
    return [{"code": code, "params": {} if params is None else params}]


@pytest.mark.parametrize(
    "change",
    [
        *({"decision": value} for value in ("allow", "Permit", "", None, True, 1, [], ["permit"])),
        *({"reasons": value} for value in (None, {}, "x", [1], [[]], [{}], [{"code": "x"}])),
        *({"reasons": coded(code)} for code in ("", "X", "x" * 65, 1, None, "a-b", "a\n")),
        *({"reasons": coded("x", params)} for params in ([], "x", {"A": 1}, {1: 1}, {"": 1})),
        *(
            {"reasons": coded("x", {"a": value})}
            for value in (1.5, True, None, {}, [1], [[]], 2**53, -(2**53), float("nan"), ["a"] * 65)
        ),
        {"reasons": [{"code": "x", "params": {}, "text": "y"}]},
        {"reasons": coded() * 65},
        {"reasons": []},
        {"remedies": None},
        {"remedies": coded("X")},
        {"obligations": {"days": 1}},
        {"obligations": []},
        {"obligations": None},
    ],
)
def test_other_refusals_are_no_decision(change: dict[str, Any]) -> None:
    with pytest.raises(PolicyUnavailable):
        read_decision({**DENY, **change}, "")


@pytest.mark.parametrize(
    "obligations",
    [
        *({"days": value} for value in (0, -1, 1.0, True, "1", None, 2**53, [1])),
        *({}, {"sessions": 1}, {"days": 1, "sessions": 0}, {"days": 1, "notify": 1}, [], None),
    ],
)
def test_permits_with_other_obligations_are_no_decision(obligations: Any) -> None:
    with pytest.raises(PolicyUnavailable):
        read_decision({**PERMIT, "obligations": obligations}, "")


@pytest.mark.parametrize("answer", [None, True, "permit", 1, [], [PERMIT], {}, {"result": PERMIT}])
def test_other_values_are_no_decision(answer: Any) -> None:
    with pytest.raises(PolicyUnavailable):
        read_decision(answer, "")


def test_members_are_exactly_four() -> None:
    with pytest.raises(PolicyUnavailable):
        read_decision({**PERMIT, "allow": True}, "")
    for name in PERMIT:
        answer = copy.deepcopy(PERMIT)
        del answer[name]
        with pytest.raises(PolicyUnavailable):
            read_decision(answer, "")
    for extra in ({"reasons": coded()}, {"remedies": coded()}):
        with pytest.raises(PolicyUnavailable):
            read_decision({**PERMIT, **extra}, "")
