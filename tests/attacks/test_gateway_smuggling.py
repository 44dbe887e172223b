"""Raw malformed HTTP at the gateway: what reaches the service is what was meant, or nothing.

The judge is the service: it reads by a strict parser of its own and keeps every byte. Whatever was
sent, it got no request more than there are recorded uses, none that hides in another's body, and
nothing that it could not read.
"""

import socket
from collections.abc import Iterator

import pytest

from tests.support.called import Pair, paired, target
from tests.support.smuggle import HIDDEN, head, judge, refused, send
from tests.support.upstream import answer, raw


@pytest.fixture(scope="module")
def served() -> Iterator[Pair]:
    with paired() as pair:
        yield pair


@pytest.fixture
def pair(served: Pair) -> Pair:
    served.reset()
    return served


CHUNKS = b"0\r\n\r\n" + HIDDEN
LENGTHS = {
    "CL.TE": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "TE.CL": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 42"),
    "the same length twice": (b"Content-Length: 5", b"Content-Length: 5"),
    "a list of lengths": (b"Content-Length: 5, 5",),
    "a signed length": (b"Content-Length: +5",),
    "a negative length": (b"Content-Length: -5",),
    "a hexadecimal length": (b"Content-Length: 0x5",),
    "a length with a blank": (b"Content-Length: 5 0",),
    "a length with an underscore": (b"Content-Length: 4_2",),
    "a length of other digits": ("Content-Length: \u0665".encode(),),
    "an endless length": (b"Content-Length: " + b"9" * 40,),
    "an empty length": (b"Content-Length:",),
    "TE twice": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "TE identity": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "TE identity first": (b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked"),
    "TE cow": (b"Transfer-Encoding: chunked, cow",),
    "TE gzip": (b"Transfer-Encoding: gzip, chunked",),
    "TE xchunked": (b"Transfer-Encoding: xchunked",),
    "TE quoted": (b'Transfer-Encoding: "chunked"',),
    "TE after a tab": (b"Transfer-Encoding:\x0bchunked",),
    "TE with a blank before the colon": (b"Transfer-Encoding : chunked",),
    "TE folded": (b"X: y", b" Transfer-Encoding: chunked"),
    "TE folded in its value": (b"Transfer-Encoding:", b" chunked"),
    "TE with NUL": (b"Transfer-Encoding: chunked\x00",),
    "TE empty": (b"Transfer-Encoding:",),
    "TE underscored": (b"Content-Length: 5", b"Transfer_Encoding: chunked"),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_body_whose_length_is_said_oddly(pair: Pair, name: str) -> None:
    """Whoever reads it differently would find a second request in the body."""
    answers = send(pair, head(pair, *LENGTHS[name]) + CHUNKS)
    judge(pair, answers)
    assert len(pair.upstream.came) <= 1
    for came in pair.upstream.came:  # read in one way only, which the service was told
        body, sized = bytes(came.body), came.all("content-length")
        assert came.whole
        assert (sized == [str(len(body))]) != (came.all("transfer-encoding") == ["chunked"])
        assert body in (b"", CHUNKS[:5])


@pytest.mark.parametrize(
    "name", ["CL.TE", "TE.CL", "two lengths", "TE cow", "TE gzip", "TE xchunked", "TE identity"]
)
def test_body_of_two_lengths_reaches_nobody(pair: Pair, name: str) -> None:
    refused(pair, head(pair, *LENGTHS[name]) + CHUNKS)


@pytest.mark.parametrize(
    "line",
    [
        b"X : blank before the colon",
        b"X\t: tab before the colon",
        b" X: blank in front",
        b"no colon at all",
        b": no name",
        b"X: NUL \x00",
        b"X: bell \x07",
        b"X\x00Y: NUL in the name",
        b"X(Y): a bracket in the name",
        b"X: bare CR \r Y: z",
        b"X: y\n" + HIDDEN,
        b"X: y\rTransfer-Encoding: chunked",
        "X\u00e9: a letter that is none".encode("latin-1"),
    ],
    ids=ascii,
)
def test_malformed_header(pair: Pair, line: bytes) -> None:
    answers = send(pair, head(pair, line, b"Content-Length: 0"))
    judge(pair, answers)
    for came in pair.upstream.came:
        assert b"\x00" not in came.raw
        assert b"\x07" not in came.raw


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\n\r", b"\r\r\n"], ids=ascii)
def test_line_that_ends_oddly(pair: Pair, ending: bytes) -> None:
    odd = head(pair, b"Content-Length: 0").replace(b"\r\n", ending)
    judge(pair, send(pair, odd))
    half = head(pair, b"X: y" + ending + b"Content-Length: 5", b"Transfer-Encoding: chunked")
    judge(pair, send(pair, half + CHUNKS))
    assert all(bytes(came.body) == b"" for came in pair.upstream.came)


CHUNKED = {
    "a chunk extension": b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "an extension with a request": b"5;" + b"DELETE /hidden\r\nhello\r\n0\r\n\r\n",
    "an extension with a bare LF": b"5;\nxx\r\nhello\r\n0\r\n\r\n",
    "a size with a blank": b"5 \r\nhello\r\n0\r\n\r\n",
    "a size with zeros": b"0005\r\nhello\r\n000\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a signed size": b"+5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a size of 70 bits": b"400000000000000005\r\nhello\r\n0\r\n\r\n",
    "a size that wraps to 5": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a chunk without its end": b"5\r\nhello0\r\n\r\n",
    "a chunk ended by LF": b"5\r\nhello\n0\r\n\r\n",
    "a size ended by LF": b"5\nhello\r\n0\r\n\r\n",
    "a chunk too long": b"5\r\nhello more\r\n0\r\n\r\n",
    "an empty size": b"\r\nhello\r\n0\r\n\r\n",
    "no last line": b"5\r\nhello\r\n0\r\n",
    "trailers": b"5\r\nhello\r\n0\r\nExchange-Use: forged\r\nX-Api-Key: forged\r\nHost: y\r\n\r\n",
    "a trailer of a length": b"5\r\nhello\r\n0\r\nContent-Length: 40\r\n\r\n",
    "a trailer of a coding": b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a malformed trailer": b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKED)
def test_chunked_body_that_is_odd(pair: Pair, name: str) -> None:
    """It arrives as plain chunks of the same bytes, or the call never ends properly."""
    answers = send(pair, head(pair, b"Transfer-Encoding: chunked") + CHUNKED[name] + HIDDEN)
    judge(pair, answers)
    assert len(pair.upstream.came) <= 1
    for came in pair.upstream.came:
        assert b"hello".startswith(bytes(came.body))
        assert came.trailers == b""
        assert not came.whole or bytes(came.body) == b"hello"
        assert "forged" not in came.raw.decode("latin-1")


def test_second_request_on_the_connection_is_one_of_its_own(pair: Pair) -> None:
    """Pipelined requests are each verified: what has no token reaches nobody."""
    answers = send(pair, head(pair, b"Content-Length: 5") + b"hello" + HIDDEN)
    judge(pair, answers)
    assert [status for status, _ in answers] == [200, 404]
    assert [bytes(came.body) for came in pair.upstream.came] == [b"hello"]
    pair.reset()
    answers = send(pair, head(pair, b"Content-Length: 2") + b"ab" + head(pair, method="GET"))
    assert [status for status, _ in answers] == [200, 200]
    assert [came.method for came in pair.upstream.came] == ["POST", "GET"]


@pytest.mark.parametrize(
    "form",
    [
        "http://evil.example{}",
        "http://evil.example:80{}",
        "http://user:pw@evil.example{}",
        "https://127.0.0.1{}",
    ],
)
def test_absolute_form_names_no_other_address(pair: Pair, form: str) -> None:
    data = head(pair, method="GET").replace(target("x").encode(), form.format(target("x")).encode())
    answers = send(pair, data)
    judge(pair, answers)
    for came in pair.upstream.came:
        assert came.target == "/x"
        assert came.one("host") == f"127.0.0.1:{pair.upstream.port}"


@pytest.mark.parametrize("first", [b"*", b"evil.example:443", b"x", b"?x", b"//evil.example/x"])
def test_other_forms_of_a_target(pair: Pair, first: bytes) -> None:
    for method in (b"CONNECT", b"OPTIONS", b"GET"):
        data = head(pair).replace(f"POST {target('x')}".encode(), method + b" " + first)
        judge(pair, send(pair, data))
    assert pair.upstream.came == []


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND", "PRI", "get", "G\0T"])
def test_other_methods_reach_nobody(pair: Pair, method: str) -> None:
    refused(pair, head(pair, method=method))


INJECTED = ["%0d%0aX-Injected:%20y", "%0aX:y", "%0d", "%00", "%e5%98%8a%e5%98%8d", "%c4%8d%c4%8a"]


@pytest.mark.parametrize("text", INJECTED)
def test_encoded_line_break_in_the_path(pair: Pair, text: str) -> None:
    answers = send(pair, head(pair, path=f"a{text}b", method="GET"))
    judge(pair, answers)
    for came in pair.upstream.came:
        assert came.target == f"/a{text.upper()}b"
        assert not came.all("x-injected")


@pytest.mark.parametrize("text", [*INJECTED, "#frag", "a?b??c", "[]{}|^`", "%", "%zz"])
def test_encoded_line_break_in_the_query(pair: Pair, text: str) -> None:
    answers = send(pair, head(pair, path=f"x?q={text}", method="GET"))
    judge(pair, answers)
    for came in pair.upstream.came:
        assert came.target == f"/x?q={text.partition('#')[0]}"
        assert not came.all("x-injected")


@pytest.mark.parametrize(
    "text", [b"a\rb", b"a\nb", b"a b HTTP/1.1\r\nX: y", b"a\tb", b"a\x00b", b"a\xffb", b"a\x7fb"]
)
def test_raw_odd_bytes_in_the_target(pair: Pair, text: bytes) -> None:
    for place in ("x", "x?q=1"):
        data = head(pair, path=f"{place}MARK", method="GET").replace(b"MARK", text)
        judge(pair, send(pair, data))
    assert all(came.all("x") in ([], ["y HTTP/1.1"]) for came in pair.upstream.came)
    assert all(text not in came.raw for came in pair.upstream.came)


@pytest.mark.parametrize(
    "value", [b"a%0d%0aX-Injected: y", b"a\xc4\x8a\xc4\x8dX: y", b"\xe5\x98\x8a"]
)
def test_encoded_line_break_in_a_header(pair: Pair, value: bytes) -> None:
    """It is no line break to us, and arrives as the same bytes."""
    answers = send(pair, head(pair, b"X-Text: " + value, method="GET"))
    judge(pair, answers)
    for came in pair.upstream.came:
        assert came.one("x-text") == value.decode("latin-1")
        assert not came.all("x-injected")


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket", b"TLS/1.0", b"HTTP/2.0"])
def test_upgrade_opens_no_tunnel(pair: Pair, upgrade: bytes) -> None:
    pair.upstream.act = raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", answer())
    lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + upgrade, b"HTTP2-Settings: AA")
    for method, body in (("GET", b""), ("POST", b"hello")):
        length = b"Content-Length: %d" % len(body)
        answers = send(pair, head(pair, *lines, length, method=method) + body, HIDDEN)
        judge(pair, answers)
        assert len(pair.upstream.came) <= 1
        pair.upstream.came.clear()


def test_http_1_0_with_chunks(pair: Pair) -> None:
    data = head(pair, b"Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    refused(pair, data + CHUNKS)


def test_body_with_a_get(pair: Pair) -> None:
    answers = send(pair, head(pair, b"Content-Length: 36", method="GET") + HIDDEN[:36])
    judge(pair, answers)
    (came,) = pair.upstream.came
    assert (came.one("content-length"), bytes(came.body)) == ("36", HIDDEN[:36])


def test_answer_split_by_the_service_stays_one(pair: Pair) -> None:
    """What the service puts into its own headers is not another answer to the caller."""
    pair.upstream.act = raw(answer(b"ok", "200 OK", b"X: a%0d%0aContent-Length: 0"), close=True)
    answers = send(pair, head(pair, method="GET", path="x"))
    assert answers == [(200, b"ok")]


def test_many_at_random(pair: Pair) -> None:
    """Pieces of everything above put together, by a seed that is fixed."""
    import random

    chance = random.Random(20260101)
    lines = [line for group in LENGTHS.values() for line in group]
    lines += [
        b"Expect: 100-continue",
        b"Connection: close, x-api-key",
        b"Host: evil",
        b"TE: trailers",
    ]
    bodies = [*CHUNKED.values(), CHUNKS, HIDDEN, b"", b"hello"]
    for _ in range(60):
        some = chance.sample(lines, chance.randint(0, 3))
        path = chance.choice(["x", "a/b?c=d", "a%2e", "../x", "x?%0d%0a"])
        method = chance.choice(["GET", "POST", "PUT", "HEAD", "OPTIONS"])
        data = head(pair, *some, method=method, path=path) + chance.choice(bodies)
        with socket.create_connection(("127.0.0.1", pair.called.port), timeout=5) as connection:
            connection.sendall(data)
            connection.settimeout(0.05)
            try:
                got = connection.recv(1 << 16)
            except (TimeoutError, ConnectionResetError):
                got = b""
            assert b" 500 " not in got[:20]
    judge(pair, [])
    assert pair.upstream.came
