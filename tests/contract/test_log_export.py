"""An export holds exactly what the search finds, in every form, and its manifest says so."""

import csv
import io
import json
from hashlib import sha256

import pyarrow.parquet as parquet
import pytest

from exchange.auditing.check_export import ExportRefused, check_export
from exchange.errors import BadInput
from exchange.formats.note import Signer, Verifier
from exchange.formats.tokens import generate_client_key
from exchange.ledger import export
from exchange.ledger.export import export_leaves
from exchange.ledger.search import Wanted
from exchange.ledger.write import Write
from exchange.oauth.keys import TokenKeys
from tests.support.ledgers import entries

FORMS = ("jsonl", "csv", "parquet")


def rows_of(form: str, data: bytes) -> list[dict]:
    if form == "jsonl":
        return [{"event": line.decode()} for line in data.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    return parquet.read_table(io.BytesIO(data)).to_pylist()


async def exported(ledger, wanted: Wanted, form: str):
    made = await export_leaves(ledger, wanted, form)
    with made.file as file:
        data = file.read()
    assert (made.length, made.sha256) == (len(data), sha256(data).digest())
    return data, made.claims


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_exported_is_what_is_in_the_log(ledger, form, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 7)
    for _ in range(3):
        await ledger.commit(entries(ledger, 10))
    leaves = await ledger.leaves(0, 100)
    for wanted, expected in (
        (Wanted(), leaves),
        (Wanted(newest=True), leaves[::-1]),
        (Wanted(frozenset(["kind:test.happened.v1"]), start=5), leaves[5:]),
        (Wanted(frozenset(["kind:none.such.v1"])), []),
    ):
        data, claims = await exported(ledger, wanted, form)
        rows = rows_of(form, data)
        assert [row["event"] for row in rows] == [leaf.entry.decode() for leaf in expected]
        if form != "jsonl":
            assert [int(row["index"]) for row in rows] == [leaf.index for leaf in expected]
            assert [row["subject"] for row in rows] == [leaf.subject for leaf in expected]
        assert claims["leaves"] == len(expected)
        first, last = (expected[0].index, expected[-1].index) if expected else (None, None)
        assert (claims["first_index"], claims["last_index"]) == (first, last)
        assert claims["checkpoint"] == await ledger.checkpoint()


async def test_too_much_is_refused_with_what_to_do(ledger, monkeypatch):
    monkeypatch.setattr(export, "MAX_LEAVES", 20)
    await ledger.commit(entries(ledger, 19))
    await exported(ledger, Wanted(), "jsonl")
    await ledger.commit(entries(ledger, 1))
    with pytest.raises(BadInput) as refused:
        await exported(ledger, Wanted(), "jsonl")
    assert refused.value.code == "export_too_large"
    assert "since" in refused.value.hint


@pytest.mark.parametrize("subject", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\tx", "\rx", "\n=x"])
async def test_no_cell_of_csv_is_a_formula(ledger, subject):
    await ledger.commit(Write([ledger.event("test.happened.v1", subject, {"n": 1})]))
    data, _ = await exported(ledger, Wanted(start=1), "csv")
    (row,) = rows_of("csv", data)
    assert row["subject"] == "'" + subject
    assert row["event"].startswith("{")


def test_a_manifest_is_checked_against_file_keys_and_log():
    keys, log = TokenKeys([generate_client_key()]), Signer.generate("log.example/a")
    data = b'{"n":1}\n{"n":2}\n'
    note = log.sign("log.example/a\n2\n" + "A" * 43 + "=\n")
    claims = {
        "sha256": sha256(data).hexdigest(),
        "bytes": len(data),
        "leaves": 2,
        "format": "jsonl",
        "checkpoint": note,
    }
    manifest = keys.sign_manifest(claims)
    checked = check_export(data, manifest, keys.jwks, log.verifier)
    assert checked.claims == claims
    assert checked.key == keys.jwks["keys"][0]["kid"]
    assert (checked.root_met, checked.why_not) == (False, "it holds a part of the log")
    other = TokenKeys([generate_client_key()])
    for what, bad in {
        "another file": (data[:-2] + b"\n", manifest, keys.jwks, None),
        "longer": (data + b"\n", manifest, keys.jwks, None),
        "another's key": (data, manifest, other.jwks, None),
        "changed": (data, manifest[:-4] + "AAAA", keys.jwks, None),
        "a token": (data, keys.sign(claims), keys.jwks, None),
        "no manifest": (data, "", keys.jwks, None),
        "no keys": (data, manifest, {"keys": 7}, None),
        "another count": (data, keys.sign_manifest({**claims, "leaves": 3}), keys.jwks, None),
        "another log": (data, manifest, keys.jwks, Signer.generate("log.example/a").verifier),
    }.items():
        with pytest.raises(ExportRefused):
            print(what, check_export(*bad))
    assert json.dumps(claims)


async def test_a_whole_log_is_compared_with_the_root_that_the_log_signed(ledger):
    """Whoever signs another manifest with the exchange's keys still has not the log's key."""
    keys = TokenKeys([generate_client_key()])
    await ledger.commit(entries(ledger, 300))
    verifier = Verifier.parse(ledger.verifier_key)

    def judge(data, claims, log_key=verifier):
        fitted = {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
        if claims["format"] == "jsonl":
            fitted["leaves"] = data.count(b"\n")
        manifest = keys.sign_manifest({**claims, **fitted})
        return check_export(data, manifest, keys.jwks, log_key)

    data, claims = await exported(ledger, Wanted(), "jsonl")
    assert judge(data, claims).root_met
    assert judge(data, claims).why_not == ""
    assert judge(data, claims, None).why_not == "no log key was given"
    lines = data.splitlines(keepends=True)
    assert len(lines) > 300
    other = lines[7].replace(b"test.happened", b"test.murdered")
    assert other != lines[7]
    for what, forged in {
        "changed": [*lines[:7], other, *lines[8:]],
        "left out": lines[:-1],
        "one more": [*lines, other],
        "swapped": [lines[1], lines[0], *lines[2:]],
        "no end": [*lines, b"{}"],
        "empty": [],
    }.items():
        with pytest.raises(ExportRefused):
            print(what, judge(b"".join(forged), claims))
    for wanted, form, why in (
        (Wanted(), "csv", "csv does not"),
        (Wanted(), "parquet", "parquet does not"),
        (Wanted(newest=True), "jsonl", "a part"),
        (Wanted(start=1), "jsonl", "a part"),
        (Wanted(since_ms=0), "jsonl", "a part"),
        (Wanted(sight=frozenset(["org_1"])), "jsonl", "a part"),
        (Wanted(frozenset(["kind:test.happened.v1"])), "jsonl", "a part"),
    ):
        checked = judge(*await exported(ledger, wanted, form))
        assert not checked.root_met
        assert why in checked.why_not
