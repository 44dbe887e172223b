"""What became of a request for access, in the terms of OAuth: an error with its reasons, or more
beside a token."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from exchange.access.acts import PENDING
from exchange.access.api.documents import worded
from exchange.access.endings import Closing
from exchange.access.model import Said
from exchange.clock import rfc3339
from exchange.errors import BadInput, ExchangeError, NotFound, Unavailable
from exchange.locales import gettext
from exchange.oauth.model import Decided, OneGrant, OneOffering, Refused, Terms

INTERVAL_SECONDS = 10  # between two askings of one who waits (RFC 8628 section 3.5 words it so)


def told_of(terms: Terms, told: Mapping[str, Any]) -> Terms:
    """Return terms with more to tell beside the token."""
    return replace(terms, told={**terms.told, **told})


def refusal_of(decided: Decided, issuer: str, lang: str) -> Refused:
    """Return the error for a request without a grant: it waits, or somebody said no."""
    members: dict[str, Any] = {
        "access_request": decided.request_id,
        "access_request_uri": f"{issuer}/v1/access-requests/{decided.request_id}",
        "reasons": _worded(decided.reasons, lang),
        "remedies": _worded(decided.remedies, lang),
    }
    if decided.status == PENDING:
        return Refused(
            "authorization_pending",
            "People decide this request. Ask again with the same details; it stays one request.",
            members={"interval": INTERVAL_SECONDS, **members},
        )
    if decided.closing is not None:  # what people wrote may be in any script: it stands in `closed`
        closed = {"reasons": [], "remedies": [], "closed": _closed(decided.closing, lang)}
        return Refused(
            "access_denied",
            f"The request was {decided.closing.kind}. POST /v1/access-requests asks anew.",
            members={**members, **closed},
        )
    why = "; ".join(reason["text"] for reason in _worded(decided.reasons, "en"))  # ASCII only
    return Refused("access_denied", why or "The request was refused.", members=members)


def _closed(closing: Closing, lang: str) -> dict[str, Any]:
    """Return how a request was closed, as GET /v1/access-requests says it but for who did."""
    return {
        "kind": closing.kind,
        "kind_text": gettext("endings", lang)(closing.kind),
        "text": closing.text or None,
        "at": rfc3339(closing.at_ms),
    }


def _worded(said: Sequence[Said], lang: str) -> list[dict[str, Any]]:
    return [each.model_dump() for each in worded(said, lang)]


@contextmanager
def refused_by(asked: OneGrant | OneOffering, lang: str) -> Iterator[None]:
    """Turn what the room of access says into an error of the token endpoint."""
    try:
        yield
    except Unavailable:
        raise
    except (NotFound, BadInput) as error:
        by_scope = isinstance(asked, OneGrant) and asked.kind is None
        code = "invalid_scope" if by_scope else "invalid_authorization_details"
        raise Refused(code, _words(error)) from error
    except ExchangeError as error:  # Denied, Conflict, and whatever else says no
        members: dict[str, Any] = {
            **{name: error.members.get(name, []) for name in ("reasons", "remedies")},
            **{n: error.members[n] for n in ("terms_digest", "grant_id") if n in error.members},
        }
        for name in ("reasons", "remedies"):
            said = [Said(each["code"], each.get("params", {})) for each in members[name]]
            members[name] = _worded(said, lang)
        raise Refused("access_denied", _words(error), members=members) from error


def _words(error: ExchangeError) -> str:
    return " ".join(filter(None, (error.detail, error.hint)))


def unavailable(detail: str) -> Refused:
    """Return the error of who cannot be answered just now: nothing was spent."""
    return Refused("temporarily_unavailable", detail, status=503, headers={"Retry-After": "1"})
