"""Log lines: JSON, one a record, with places and without what an exception's message holds."""

import asyncio
import json
import logging
import sys

import pytest

from exchange.logs import FIELDS, JSONLines, set_up_logging

SECRET = "postgresql://u:hunter2@db/x"


@pytest.fixture(autouse=True)
def as_before():
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    levels = {name: logging.getLogger(name).level for name in ("", "exchange", "connectors")}
    yield
    root.handlers[:] = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def line(record: logging.LogRecord) -> dict:
    text = JSONLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def record_of(error: BaseException) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__)
    return logging.LogRecord("exchange", logging.ERROR, __file__, 1, "failed", (), info)


def test_an_exception_shows_types_and_places_only():
    def deep() -> None:
        raise ValueError(SECRET)

    try:
        try:
            deep()
        except ValueError as error:
            raise RuntimeError(f"cannot: {SECRET}") from error
    except RuntimeError as error:
        written = line(record_of(error))
    assert [cause["type"] for cause in written["error"]] == ["RuntimeError", "ValueError"]
    places = written["error"][1]["at"]
    assert places[0].startswith("test_logs.py:")
    assert places[0].endswith(" deep")
    assert "hunter2" not in json.dumps(written)
    assert "/" not in json.dumps(written["error"])  # no path of this machine


def test_a_chain_without_end_is_cut():
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert len(line(record_of(first))["error"]) == 8


def test_only_known_fields_are_written():
    record = record_of(ValueError())
    record.request_id, record.authorization = "r1", SECRET
    written = line(record)
    assert written["request_id"] == "r1"
    assert set(written) <= {"time", "level", "logger", "event", "error", *FIELDS}


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
def test_other_packages_never_debug(level: str, capsys: pytest.CaptureFixture[str]):
    set_up_logging(level)
    logging.getLogger("authlib.oauth2").debug("Issue token %r", SECRET)
    logging.getLogger("exchange.oauth").debug("ours")
    lines = [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    assert [each["event"] for each in lines] == (["ours"] if level == "debug" else [])


async def test_a_task_that_nobody_awaits_does_not_show_its_message(
    capsys: pytest.CaptureFixture[str],
):
    set_up_logging("info")

    async def fails() -> None:
        raise ValueError(SECRET)

    loop = asyncio.get_running_loop()
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    loop.call_exception_handler(
        {
            "message": "Task exception was never retrieved",
            "task": task,
            "exception": task.exception(),
        }
    )
    written = capsys.readouterr().err
    assert "Task exception was never retrieved" in written
    assert "hunter2" not in written
    assert sys.exc_info() == (None, None, None)
