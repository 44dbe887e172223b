"""What a caller is told of a platform's service: a code, never its address or what it said."""

from typing import Final

from connectors.gateway.source import SourceProblem

_HINTS: Final = {
    "upstream_unreachable": "Nothing was sent and nothing was counted. Try again shortly.",
    "upstream_address_refused": "Nothing was sent. Tell the platform: the operator does not allow "
    "the address of its service.",
    "upstream_timed_out": "The service may have acted on the call. Ask for less, or tell the "
    "platform.",
    "upstream_broken": "The service may have acted on the call. Tell the platform.",
    "upstream_too_large": "Ask for less at a time.",
    "upstream_redirects": "Tell the platform: calls go to the address that it published, no other.",
    "upstream_refused_credential": "Your token is good. Tell the platform: its service no longer "
    "takes the credential that the platform gave the exchange.",
    "connection_missing": "Tell the platform: its offering names a connection that it removed.",
    "source_unusable": "Tell the platform: its offering says what this gateway cannot read.",
}


def upstream_problem(code: str, detail: str, *, status: int = 502) -> SourceProblem:
    """Return a refusal that is the platform's service's doing."""
    return SourceProblem(code, status, detail, hint=_HINTS.get(code))


def timed_out(what: str) -> SourceProblem:
    """Return a refusal where the service took too long."""
    return upstream_problem("upstream_timed_out", what, status=504)


def broken() -> SourceProblem:
    """Return a refusal where the service did not speak HTTP, or hung up."""
    detail = "The platform's service hung up, or answered what is no HTTP."
    return upstream_problem("upstream_broken", detail)


def busy() -> SourceProblem:
    """Return a refusal where the service has as many calls as this gateway makes at once."""
    detail = "The platform's service has as many calls as it is given at once."
    hint = "Nothing was sent and nothing was counted. Try again shortly."
    return SourceProblem("upstream_busy", 503, detail, hint=hint, headers={"Retry-After": "1"})
