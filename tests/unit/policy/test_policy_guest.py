"""What policies may not do to their host: run for ever, eat memory, ask for more, lie."""

import contextlib
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from exchange.policy import Bundle, PolicyUnavailable, load_bundle
from exchange.policy.contract import CheckedInput, InputContract
from exchange.policy.door import PolicyDoor
from exchange.policy.embedded import EmbeddedEvaluator
from tests.support.opa import require_opa
from tests.support.policy_inputs import sample

Compile = Callable[[str], Bundle]

DECISION = """decision := {
	"decision": "permit", "reasons": [], "remedies": [], "obligations": {"days": 1},
}"""


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    """Return a compiler of test-only Rego, with every builtin that OPA knows."""

    def compile_rego(rules: str) -> Bundle:
        (tmp_path / "rule.rego").write_text(f"package exchange\n\n{rules}\n")
        subprocess.run(
            [
                *(require_opa(), "build", "-t", "wasm", "-e", "exchange/decision"),
                *("-o", "out.tar.gz", "rule.rego"),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        with tarfile.open(tmp_path / "out.tar.gz") as archive:
            module = archive.extractfile("/policy.wasm")
            assert module is not None
            return Bundle("sha256:test", "exchange/decision", module.read(), b"{}", {})

    return compile_rego


def door(bundle: Bundle) -> PolicyDoor:
    schema = load_bundle().schema
    return PolicyDoor(InputContract(schema), EmbeddedEvaluator(bundle), bundle.revision)


async def refused(engine: PolicyDoor, why: str) -> None:
    start = time.monotonic()
    with pytest.raises(PolicyUnavailable, match=why):
        await engine.decide(sample())
    assert time.monotonic() - start < 1.0


@pytest.mark.opa
async def test_the_compiler_can_say_yes(compiled: Compile) -> None:
    assert (await door(compiled(DECISION)).decide(sample())).outcome == "permit"


@pytest.mark.opa
@pytest.mark.parametrize(
    "condition",
    [
        # Never ends in OPA's Wasm: an empty string is found at every place, for ever.
        'replace(input.request.purpose, "", "x") == "y"',
        """some a in numbers.range(1, 3000)
	some b in numbers.range(1, 3000)
	a * b == -1""",
    ],
)
async def test_a_runaway_rule_is_stopped_by_fuel(compiled: Compile, condition: str) -> None:
    rule = DECISION + " if {\n\t" + condition + "\n}"
    engine = door(compiled(rule))
    for _ in range(3):
        await refused(engine, "out of fuel|stopped")


@pytest.mark.opa
async def test_fuel_is_what_stops_it(compiled: Compile) -> None:
    rule = DECISION + ' if replace(input.request.purpose, "", "x") == "y"'
    await refused(door(compiled(rule)), "out of fuel")


@pytest.mark.opa
async def test_a_greedy_rule_is_stopped_by_the_memory_cap(compiled: Compile) -> None:
    rule = DECISION + " if count([x | some x in numbers.range(1, 900000)]) == 0"
    evaluator = EmbeddedEvaluator(compiled(rule), fuel=10**10)
    body = InputContract(load_bundle().schema).check(sample()).body
    before = resident()
    for _ in range(5):
        with pytest.raises(PolicyUnavailable, match="stopped"):
            evaluator.evaluate_now(body)
    assert resident() - before < 130 * 2**20


def resident() -> int:
    """Return this process's resident memory in bytes."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.opa
async def test_no_value_is_no_decision(compiled: Compile) -> None:
    await refused(door(compiled(DECISION + " if input.now < 0")), "no result")


@pytest.mark.opa
@pytest.mark.parametrize("value", ["true", "[]", '{"decision": "permit"}', '"permit"', "1e99"])
async def test_other_values_are_no_decision(compiled: Compile, value: str) -> None:
    with pytest.raises(PolicyUnavailable):
        await door(compiled(f"decision := {value}")).decide(sample())


@pytest.mark.opa
async def test_a_conflict_aborts(compiled: Compile) -> None:
    rules = "decision := 1 if input.now > 0\n\ndecision := 2 if input.now > 1"
    await refused(door(compiled(rules)), "stopped")


@pytest.mark.opa
async def test_a_builtin_of_the_host_is_not_given(compiled: Compile) -> None:
    bundle = compiled(DECISION + " if time.now_ns() > 0")
    with pytest.raises(PolicyUnavailable, match=r"time\.now_ns"):
        EmbeddedEvaluator(bundle)


@pytest.mark.opa
async def test_another_entry_point_is_not_there(compiled: Compile) -> None:
    bundle = compiled(DECISION)
    other = Bundle(bundle.revision, "exchange/other", bundle.wasm, bundle.data, {})
    with pytest.raises(PolicyUnavailable, match="no entry point"):
        EmbeddedEvaluator(other)


async def test_after_a_failure_the_next_decision_is_sound() -> None:
    bundle = load_bundle()
    evaluator = EmbeddedEvaluator(bundle, fuel=1_000)
    engine = PolicyDoor(InputContract(bundle.schema), evaluator, bundle.revision)
    await refused(engine, "out of fuel")
    evaluator._fuel = 10**8
    assert (await engine.decide(sample())).outcome == "permit"


@pytest.mark.parametrize("body", [b"", b"NaN", b'{"now":', b"\xef\xbb\xbf{}", b"\xff", b"[" * 5000])
def test_malformed_bytes_never_permit(body: bytes) -> None:
    """The door never lets such bytes through; even so they find no yes behind it."""
    evaluator = EmbeddedEvaluator(load_bundle())
    with contextlib.suppress(PolicyUnavailable):
        assert evaluator.evaluate_now(body)["decision"] == "deny"


def test_a_large_input_grows_the_memory_once() -> None:
    evaluator = EmbeddedEvaluator(load_bundle())
    body = b'{"now": 1, "padding": "' + b"x" * 1_000_000 + b'"}'
    sizes = set()
    for _ in range(5):
        assert evaluator.evaluate_now(body)["decision"] == "deny"
        sizes.add(evaluator._guest._memory.data_len(evaluator._guest._store))
    assert len(sizes) == 1


async def test_an_input_beyond_the_memory_is_no_decision() -> None:
    class Anything(InputContract):
        def check(self, document: object) -> CheckedInput:
            return CheckedInput(b" " * (70 * 2**20))

    bundle = load_bundle()
    engine = PolicyDoor(Anything(bundle.schema), EmbeddedEvaluator(bundle), bundle.revision)
    await refused(engine, "failed")
