"""Which headers cross the gateway, each way.

Hop-by-hop ones never do (RFC 9110 section 7.6.1), nor what would tell the service who the caller
is in the exchange's stead, or steer it to another method or path than the one that was allowed;
nor, back, what speaks for the service's address, or to browsers and proxies for this origin.
"""

import re
from collections.abc import Iterable
from typing import Final

Header = tuple[bytes, bytes]

_HOP_BY_HOP: Final = {
    b"connection",
    b"http2-settings",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_NOT_SENT: Final = _HOP_BY_HOP | {
    # Made anew for the service.
    b"content-length",
    b"expect",
    b"host",
    b"via",
    # The caller's to the exchange: its token would open the grant to whoever reads it.
    b"authorization",
    b"dpop",
    b"cookie",
    b"cookie2",
    # Who called and how, which only the exchange may say.
    b"client-ip",
    b"cf-connecting-ip",
    b"fastly-client-ip",
    b"forwarded",
    b"from",
    b"true-client-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-host",
    b"x-real-ip",
    # Another method or path than the one that was allowed, where a framework listens to these.
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-host",
    b"x-original-url",
    b"x-rewrite-url",
}
_NOT_SENT_PREFIXES: Final = (b"exchange-", b"proxy-", b"x-forwarded-", b"x-exchange-")
_NOT_ANSWERED: Final = _HOP_BY_HOP | {
    # The service's own, and its address.
    b"authentication-info",
    b"alt-svc",
    b"content-location",
    b"location",
    b"refresh",
    b"server",
    b"set-cookie",
    b"set-cookie2",
    b"via",
    b"dpop-nonce",
    b"www-authenticate",
    b"x-powered-by",
    # For this origin, which is the exchange's: said by the gateway, or by nobody.
    b"age",
    b"cache-control",
    b"clear-site-data",
    b"content-security-policy",
    b"content-security-policy-report-only",
    b"date",
    b"expires",
    b"nel",
    b"pragma",
    b"public-key-pins",
    b"referrer-policy",
    b"report-to",
    b"reporting-endpoints",
    b"service-worker-allowed",
    b"sourcemap",
    b"speculation-rules",
    b"strict-transport-security",
    b"x-content-type-options",
    b"x-frame-options",
    b"x-request-id",
    b"x-sourcemap",
    # Orders to a proxy in front: to send a file of its own, for one.
    b"x-lighttpd-send-file",
    b"x-lighttpd-send-tempfile",
    b"x-sendfile",
    b"x-sendfile2",
}
_NOT_ANSWERED_PREFIXES: Final = (b"access-control-", b"exchange-", b"proxy-", b"x-accel-")
_OURS: Final = (
    # No cache answers in the gateway's stead, and what a browser shows of it can do nothing here.
    (b"cache-control", b"no-store, no-transform"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
)
# With an underscore a name is another header to us and the same one to a CGI-like service.
_NAME: Final = re.compile(rb"[a-z0-9][a-z0-9-]*")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


class HeaderRefused(ValueError):
    """A header holds what none may."""


def sent(given: Iterable[Header], ours: Iterable[Header]) -> list[Header]:
    """Return what a service is sent of a caller's headers, with ours; raises HeaderRefused.

    None of the caller's has the name of one of ours.
    """
    own = [(name.lower(), value) for name, value in ours]
    kept = _kept(given, _NOT_SENT | {name for name, _ in own}, _NOT_SENT_PREFIXES)
    if not all(_VALUE.fullmatch(value) for _, value in kept):
        raise HeaderRefused
    return own + kept


def answered(given: Iterable[Header], *, has_length: bool) -> list[Header]:
    """Return what a caller gets of a service's headers, with ours.

    None of those begins with `exchange-`: by such a one the gateway says whose answer it is.

    Its Content-Length stays only where the answer's body has one.
    """
    not_answered = _NOT_ANSWERED if has_length else _NOT_ANSWERED | {b"content-length"}
    kept = _kept(given, not_answered, _NOT_ANSWERED_PREFIXES)
    if any(name == b"content-type" and b"text/event-stream" in value for name, value in kept):
        kept.append((b"x-accel-buffering", b"no"))  # to a proxy in front: pass each event at once
    return kept + list(_OURS)


def _kept(
    given: Iterable[Header], without: set[bytes], prefixes: tuple[bytes, ...]
) -> list[Header]:
    headers = [(name.lower(), value.strip(b" \t")) for name, value in given]
    named = {
        each.strip(b" \t").lower()
        for name, value in headers
        if name == b"connection"
        for each in value.split(b",")
    }
    return [
        (name, value)
        for name, value in headers
        if _NAME.fullmatch(name)
        and name not in without
        and name not in named
        and not name.startswith(prefixes)
    ]
