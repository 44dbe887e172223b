"""The page at `/` and the reference at `/docs`: both languages, and nothing from elsewhere."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from exchange.locales import gettext
from tests.support.server import ExchangeServer


class Page(HTMLParser):
    """Links, loads and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.attributes: dict[str, str] = {}
        self.feed(text)
        self.text = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]+>", " ", text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "html":
            self.attributes = values
        if tag == "a":
            self.links.append(values["href"])
        elif tag == "link":
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])
        assert not [name for name in values if name.startswith("on")], "a script in an attribute"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeServer]:
    with ExchangeServer(tmp_path_factory.mktemp("home") / "state") as running:
        yield running


def get(server: ExchangeServer, path: str, **headers: str) -> httpx.Response:
    answer = httpx.get(server.url + path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize(
    ("path", "accept", "lang"),
    [
        ("/", "", "en"),
        ("/", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("/", "de", "en"),
        ("/?lang=zh", "en", "zh"),
        ("/?lang=en", "zh", "en"),
    ],
)
def test_it_says_what_runs_here_in_the_readers_language(server, path, accept, lang):
    answer = get(server, path, **{"Accept-Language": accept})
    page = Page(answer.text)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-language"] == lang
    assert answer.headers["vary"] == "Accept-Language"
    assert page.attributes["lang"] == {"en": "en", "zh": "zh-CN"}[lang]
    text = gettext("portal", lang)
    for message in ("title", "lead", "how_publish", "how_verify", "log_key", "go_on", "footer"):
        assert text(message) != message
        assert text(message) in answer.text
    key = get(server, "/log/key").text.strip()
    assert key.replace("+", "&#43;") in answer.text or key in answer.text
    assert server.url in page.text
    has_chinese = re.search(r"[\u4e00-\u9fff]", page.text.replace("中文", ""))
    assert bool(has_chinese) == (lang == "zh")


def test_the_size_of_the_log_is_todays(server):
    def shown() -> int:
        return int(get(server, "/readyz").json()["log_size"])

    before = shown()
    page = get(server, "/").text
    assert f"<dd>{before}</dd>" in page
    assert before == int(get(server, "/log/checkpoint").text.splitlines()[1])


def test_every_link_leads_somewhere(server):
    for lang in ("en", "zh"):
        links = Page(get(server, f"/?lang={lang}").text).links
        assert len(links) >= 6
        for link in links:
            assert link.startswith("/")
            get(server, link)


def test_it_needs_no_script_and_nothing_from_elsewhere(server):
    answer = get(server, "/")
    page = Page(answer.text)
    assert "script" not in page.tags
    assert page.loads == []
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert urlsplit(server.url).netloc in answer.text
    hosts = set(re.findall(r"(?:https?:)?//([\w.:-]+)", answer.text))
    assert hosts == {urlsplit(server.url).netloc}


def test_the_reference_is_served_from_here_alone(server):
    answer = get(server, "/docs")
    page = Page(answer.text)
    assert page.loads
    own = urlsplit(server.url).netloc
    for load in page.loads:
        if not load.startswith("data:"):
            whole = urljoin(server.url + "/docs", load)
            assert urlsplit(whole).netloc == own
            assert len(httpx.get(whole).content) > 10_000
    assert re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]{2,}", answer.text) == []
    assert '"/openapi.json"' in answer.text or "'/openapi.json'" in answer.text
    policy = dict(
        each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    for source in ("script-src", "style-src", "img-src", "connect-src"):
        assert set(policy[source].split()) <= {"'self'", "'unsafe-inline'", "data:"}


def test_a_name_from_the_settings_is_shown_and_no_markup(tmp_path):
    """The issuer is an operator's word, and still no HTML."""
    settings = {"issuer": "https://data.example.org", "log_origin": "log.example.org/<b>1"}
    server = ExchangeServer(tmp_path / "state", **settings)
    with server:
        text = get(server, "/").text
    assert "https://data.example.org" in text
    assert "<b>1" not in text
    assert "log.example.org/&lt;b&gt;1" in text


def test_a_language_that_is_not_there_is_a_problem(server):
    answer = httpx.get(server.url + "/?lang=fr")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_the_address_on_the_page_is_the_issuer(server):
    """Which clients must sign for."""
    metadata = get(server, "/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] in get(server, "/").text
