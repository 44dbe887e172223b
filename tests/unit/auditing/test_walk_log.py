"""A whole log walked and judged: whole ones pass, every damage is found, a walk can be resumed."""

import copy

import pytest

from exchange.auditing.edge import Edge
from exchange.auditing.state import State, StateUnusable, keep_state, read_state
from exchange.auditing.walk_log import LogFault, walk
from exchange.formats.merkle import leaf_hash, root_of
from exchange.formats.note import Signer
from tests.support.static_log import build_log, flip

SIGNER = Signer.generate("log.example/a")
VERIFIER = SIGNER.verifier
ENTRIES = [f"entry {n}".encode() for n in range(70_000)]


@pytest.fixture(scope="module")
def large():
    return build_log(ENTRIES, SIGNER)


def judged(log, state=None, files=None, fail_after=None, killed=True):
    """Walk; the state is what was kept last, after a kill or where not `killed` an interrupt."""
    kept = [copy.deepcopy(state) or State(SIGNER.vkey)]
    asked = []

    def fetch(path):
        asked.append(path)
        if fail_after is not None and len(asked) > fail_after:
            raise KeyboardInterrupt
        return (files or log.files).get(path.removeprefix("log/"))

    def keep(now):
        if not killed or fail_after is None or len(asked) <= fail_after:
            kept.append(copy.deepcopy(now))

    try:
        walked = walk(fetch, VERIFIER, kept[0], keep)
    except KeyboardInterrupt:
        walked = None
    return walked, kept[-1], asked


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 1000, 65_536, 65_537])
def test_a_whole_log_passes_and_every_file_of_it_was_read(size):
    log = build_log(ENTRIES[:size], SIGNER)
    walked, state, asked = judged(log)
    assert (walked.checkpoint.size, walked.checkpoint.root) == (size, log.root)
    assert (walked.read, walked.before) == (size, None)
    assert sorted(asked) == sorted(f"log/{path}" for path in log.files)
    assert len(asked) == len(set(asked))
    assert state.edge.root() == log.root


@pytest.mark.parametrize(
    ("first", "then"), [(1, 2), (255, 256), (300, 300), (300, 1000), (256, 900)]
)
def test_a_log_that_only_grew_passes_and_only_what_is_new_is_read(first, then):
    _, state, _ = judged(build_log(ENTRIES[:first], SIGNER))
    grown = build_log(ENTRIES[:then], SIGNER)
    walked, state, asked = judged(grown, state)
    assert (walked.read, walked.before) == (then - first, first)
    bundles = [path for path in asked if "entries" in path]
    assert len(bundles) == -(-then // 256) - first // 256  # one that was not full is read again
    assert state.verified == grown.files["checkpoint"].decode()


@pytest.mark.parametrize("fail_after", [1, 2, 3, 20, 40, 259])
def test_a_walk_that_was_interrupted_goes_on_with_the_next_bundle(large, fail_after):
    """Ctrl-C, or a server that ends: every bundle that was read whole is remembered."""
    walked, state, asked = judged(large, fail_after=fail_after, killed=False)
    assert walked is None
    read = sum("entries" in path for path in asked[:fail_after])
    if "entries" in asked[fail_after]:  # the last was read, and its tiles compared
        assert state.edge.size == 256 * read
    else:
        assert state.edge.size == 256 * (read - 1)
    walked, state, _ = judged(large, state)
    assert walked.checkpoint.root == large.root


@pytest.mark.parametrize("fail_after", [0, 1, 2, 40, 300, 500])
def test_a_walk_that_was_killed_goes_on(large, fail_after):
    walked, state, _ = judged(large, fail_after=fail_after)
    assert walked is None
    read = state.edge.size
    assert read == 0 or fail_after > 30
    walked, state, _ = judged(large, state)
    assert walked.read == 70_000 - read
    assert walked.checkpoint.root == large.root
    assert fail_after < 300 or walked.read < 40_000


def test_a_walk_that_was_killed_goes_on_in_a_log_that_has_grown():
    _, state, _ = judged(build_log(ENTRIES[:9000], SIGNER), fail_after=50)
    assert 0 < state.edge.size < 9000
    walked, _, _ = judged(build_log(ENTRIES[:9500], SIGNER), state)
    assert walked.checkpoint.size == 9500


DAMAGES = [
    ("tile/0/000", 0),
    ("tile/0/137", 4000),
    ("tile/0/273.p/112", -1),
    ("tile/1/000", 100),
    ("tile/1/001.p/17", -1),
    ("tile/2/000.p/1", 5),
    ("tile/entries/000", 1),
    ("tile/entries/100", 2000),
    ("tile/entries/273.p/112", -3),
    ("checkpoint", 3),
    ("checkpoint", 20),
    ("checkpoint", -5),
]


@pytest.mark.parametrize(("path", "at"), DAMAGES)
def test_one_bit_anywhere_is_found(large, path, at):
    with pytest.raises(LogFault) as fault:
        judged(large, files=flip(large.files, path, at))
    assert fault.value.code in ("log_damaged", "checkpoint_not_signed")
    assert fault.value.advice


@pytest.mark.parametrize("path", ["tile/0/003", "tile/1/000", "tile/entries/010", "checkpoint"])
def test_a_file_that_is_missing_is_found(large, path):
    files = {name: data for name, data in large.files.items() if name != path}
    with pytest.raises(LogFault) as fault:
        judged(large, files=files)
    assert fault.value.code == "log_incomplete"
    assert path in fault.value.detail


def test_a_bundle_and_its_tile_that_agree_on_a_lie_do_not_lead_to_the_root():
    """Whoever changes an entry can change the tiles above it, but not what was signed."""
    lie = [*ENTRIES[:300], b"another", *ENTRIES[301:700]]
    files = {
        **build_log(lie, SIGNER).files,
        "checkpoint": build_log(ENTRIES[:700], SIGNER).files["checkpoint"],
    }
    with pytest.raises(LogFault) as fault:
        judged(None, files=files)
    assert fault.value.code == "log_forked"


def test_a_log_that_shrank_is_found():
    _, state, _ = judged(build_log(ENTRIES[:700], SIGNER))
    with pytest.raises(LogFault) as fault:
        judged(build_log(ENTRIES[:699], SIGNER), state)
    assert fault.value.code == "log_shrunk"
    assert "700" in fault.value.detail
    assert fault.value.note == build_log(ENTRIES[:699], SIGNER).files["checkpoint"].decode()
    assert "state file" in fault.value.advice


@pytest.mark.parametrize("size", [700, 701, 2000])
@pytest.mark.parametrize("changed", [0, 600, 699])
def test_a_log_whose_past_was_changed_is_found_though_it_is_whole_in_itself(size, changed):
    _, state, _ = judged(build_log(ENTRIES[:700], SIGNER))
    other = [*ENTRIES[:size]]
    other[changed] = b"another"
    forked = build_log(other, SIGNER)
    assert judged(forked)[0].checkpoint.size == size  # whole, for whoever remembers nothing
    with pytest.raises(LogFault) as fault:
        judged(forked, state)
    assert fault.value.code in ("log_forked", "log_damaged")


def test_a_checkpoint_that_was_shown_and_never_verified_binds_the_log_too():
    _, state, _ = judged(build_log(ENTRIES[:9000], SIGNER), fail_after=30)
    other = [*ENTRIES[:9500]]
    other[8990] = b"another"
    with pytest.raises(LogFault) as fault:
        judged(build_log(other, SIGNER), state)
    assert fault.value.code == "log_forked"
    assert "9000" in fault.value.detail


def test_after_a_fault_the_honest_log_is_believed_again():
    honest = build_log(ENTRIES[:700], SIGNER)
    kept = [judged(honest)[1]]
    lie = build_log([*ENTRIES[:800], b"another", *ENTRIES[801:9000]], SIGNER)
    grown = build_log(ENTRIES[:9000], SIGNER)
    files = {**lie.files, "checkpoint": grown.files["checkpoint"]}
    state = kept[0]
    with pytest.raises(LogFault):
        walk(lambda path: files.get(path.removeprefix("log/")), VERIFIER, state, kept.append)
    assert judged(grown, kept[-1])[0].checkpoint.size == 9000


def test_another_key_or_another_logs_name_is_refused():
    log = build_log(ENTRIES[:3], SIGNER)
    files = {path.removeprefix("log/"): data for path, data in log.files.items()}
    other = Signer.generate("log.example/a").verifier
    with pytest.raises(LogFault) as fault:
        walk(lambda path: files[path.removeprefix("log/")], other, State(""), lambda _: None)
    assert fault.value.code == "checkpoint_not_signed"


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 65_536, 66_000])
def test_an_edge_survives_its_writing(size):
    edge = Edge()
    hashes = [leaf_hash(entry) for entry in ENTRIES[:size]]
    for each in hashes:
        list(edge.add(each))
    again = Edge.decode(edge.encode())
    assert again == edge
    assert again.size == size
    assert again.root() == root_of(hashes)


def test_the_state_file(tmp_path):
    path = tmp_path / "state"
    assert read_state(path, SIGNER.vkey) == State(SIGNER.vkey)
    _, state, _ = judged(build_log(ENTRIES[:700], SIGNER))
    keep_state(path, state)
    assert read_state(path, SIGNER.vkey) == state
    with pytest.raises(StateUnusable, match="never"):
        read_state(path, Signer.generate("log.example/a").vkey)
    path.write_text(path.read_text()[:-30])
    with pytest.raises(StateUnusable, match="--state"):
        read_state(path, SIGNER.vkey)
    assert [each.name for each in tmp_path.iterdir()] == ["state"]
