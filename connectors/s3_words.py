"""What a store's refusals mean: to the platform that publishes or uploads, and to a reader."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.gateway.source import SourceProblem
from connectors.objects import changed, not_found, unavailable
from connectors.s3_bucket import Denied, Inward, Missing, StoreProblem, Unfit


@contextmanager
def as_platform(*, being_read: bool = False) -> Iterator[None]:
    """Say what the platform has to put right; `being_read`: what was there a moment ago."""
    try:
        yield
    except StoreProblem as error:
        raise _for_platform(error, being_read=being_read) from error


@contextmanager
def as_reader() -> Iterator[None]:
    """Say why a published object cannot be delivered."""
    try:
        yield
    except StoreProblem as error:
        raise _for_reader(error) from error


def connection_unknown(*, delivering: bool) -> SourceProblem:
    """A connection that is not there, or is not to an S3 store."""
    detail = "The platform has no such connection to an S3 store (any more)."
    return SourceProblem("connection_unknown", 409 if delivering else 422, detail)


def _for_platform(error: StoreProblem, *, being_read: bool) -> SourceProblem:
    if isinstance(error, Missing):
        return changed("It is being changed.") if being_read else not_found()
    if isinstance(error, Denied):
        return SourceProblem(
            "credential_refused",
            409,
            "The store does not accept the connection's credential, or gives it no right to this.",
            hint="Replace the connection's credential, or widen its rights to this bucket.",
        )
    if isinstance(error, Inward):
        return _inward(422)
    if isinstance(error, Unfit):
        return SourceProblem(
            "store_unfit",
            422,
            "The store does not answer as S3 does, or redirects, which is not followed.",
            hint="A connection names the store's own address, its bucket and the bucket's region.",
        )
    return unavailable("The store does not answer right now.")


def _for_reader(error: StoreProblem) -> SourceProblem:
    if isinstance(error, Missing):
        return changed("The store has it no longer, or has another content.")
    if isinstance(error, Denied):
        problem = unavailable("The store does not let the platform's connection in.")
        problem.code = "credential_refused"
        problem.hint = "Tell the platform: it has to replace its connection's credential."
        return problem
    if isinstance(error, Inward):
        return _inward(409)
    return unavailable()


def _inward(status: int) -> SourceProblem:
    return SourceProblem(
        "address_not_allowed",
        status,
        "The operator does not allow the address that the store's name leads to.",
    )
