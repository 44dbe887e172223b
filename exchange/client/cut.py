"""Why a call's answer broke off, as far as the exchange can say it afterwards."""

from collections.abc import Mapping
from typing import Any, Final

from exchange.client.core import Core
from exchange.client.errors import CallCut, ClientError, NotReachable
from exchange.client.flow import Flow

PIECE: Final = 256 * 1024
"""Bytes that the gateway passes on at once, at most: so much before a limit an answer is cut."""

_STOPPED: Final = {
    "revoked": "A revoked grant never returns. Ask for access anew.",
    "suspended": "The same grant works again once the hold is lifted.",
    "ended": "Ask for access anew.",
}

_VERB: Final = {"revoked": "was revoked", "suspended": "was suspended", "ended": "ended"}


def cut_call(
    core: Core, grant: str, received: int, error: NotReachable
) -> Flow[CallCut | NotReachable]:
    """Return what to raise: the error itself where the exchange does not answer any more."""
    after = f"after {received:,} bytes of the answer"
    try:
        found = yield from core.get(f"/v1/grants/{grant}")
        status = str(found.get("status"))
        if status in _STOPPED:
            detail = f"The grant {_VERB[status]}, {after}."
            return CallCut(f"grant_{status}", detail, _STOPPED[status], received, found)
        used = yield from core.get(f"/v1/grants/{grant}/usage")
        left = next((a for a in used["allowances"] if a["obligation"] == "bytes"), None)
        if left is not None and left["left"] < PIECE:
            detail = f"The grant's {left['ceiling']:,} bytes were used up {after}."
            hint = f"See what is left, and from when: `exchange grant usage {grant}`."
            return CallCut("bytes_exhausted", detail, hint, received)
        listed = yield from core.get(f"/gateway/grants/{grant}", scope=f"grant:{grant}")
        return _of_limits(listed.get("calls") or {}, received, after)
    except NotReachable:
        return error
    except (ClientError, KeyError, TypeError, AttributeError):
        return _of_limits({}, received, after)


def _of_limits(calls: Mapping[str, Any], received: int, after: str) -> CallCut:
    most, seconds = calls.get("max_response_bytes"), calls.get("seconds")
    if isinstance(most, int) and most - min(PIECE, most // 2) < received:
        detail = f"The answer was cut {after}: the offering allows {most:,} bytes an answer."
        return CallCut("answer_too_large", detail, "Ask for less at a time.", received)
    allowed = f" The offering allows {most:,} bytes and {seconds:g} s a call." if most else ""
    detail = f"The call was cut {after}: the service hung up, or it took too long.{allowed}"
    hint = "It may have been counted. Ask for less at a time, or tell the platform."
    return CallCut("call_cut", detail, hint, received)
