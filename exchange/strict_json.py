"""JSON read so that no two readers understand it differently."""

import json
from typing import Any


def read_json(body: bytes) -> Any:
    """Read one JSON value in UTF-8, as RFC 8259 and RFC 7493 (I-JSON) want it.

    Raises JSONDecodeError, also for a name that occurs twice, NaN, lone surrogates, and more levels
    than the interpreter reads: what two readers would understand differently.
    """
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=_each_name_once, parse_constant=_no_constant)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError("not strict JSON", "", 0) from error
    return value


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
