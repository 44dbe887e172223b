"""Known faults of libraries that cannot be played: what has them is not used, and it stays so.

exchange/oauth/THREATS.md lists every one that we know of, and the tests of those that can be.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for room in ("exchange", "connectors") for path in (ROOT / room).rglob("*.py")]
REQUIRED = (ROOT / "requirements.txt").read_text("utf-8")
SERVER_CORE = ("authlib.oauth2.rfc6749", "authlib.oauth2.rfc7523", "authlib.oauth2.rfc8414")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def test_of_authlib_only_the_servers_core_cve_2025_68158_and_2026_41425_and_28498_and_44681():
    """Its OAuth clients keep `state` in a cache for anybody (68158, 41425); its OpenID Connect lets
    an ID token's hashes pass under an unknown algorithm (28498), and its implicit and hybrid flows
    send people on before the client is looked up (44681). None of these is imported."""
    found = {name for path in SOURCES for name in imported(path) if name.startswith("authlib")}
    assert found
    for name in found:
        assert name.startswith(tuple(f"{each}." for each in SERVER_CORE)), name


def test_nothing_decrypts_cve_2026_27932():
    """joserfc derived keys with as many rounds as an encrypted token asked for."""
    names = {name for path in SOURCES for name in imported(path) if name.startswith("joserfc")}
    assert names <= {"joserfc.jwk", "joserfc.errors.JoseError"}


def test_no_multipart_form_is_parsed_cve_2026_40347_and_42561():
    """Both exhaust python-multipart, which is not here: forms are one kind, read by form.py."""
    assert "multipart" not in REQUIRED
    assert not any("multipart" in name for path in SOURCES for name in imported(path))


def test_nothing_is_an_oauth_proxy_cve_2026_27124():
    """FastMCP's passed people on to another server, and their code back, without their consent in
    this browser. Nothing here asks another authorization server for anything."""
    assert "fastmcp" not in REQUIRED
    for path in SOURCES:
        assert not any("fastmcp" in name or "oauth2client" in name for name in imported(path)), path


@pytest.mark.parametrize("name", ["url", "base_url", "url_for"])
def test_no_url_is_made_of_a_request_cve_2026_48710(name):
    """Starlette makes them of the Host header, which decided what a path was."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == name:
                of = node.value
                assert not (isinstance(of, ast.Name) and of.id == "request"), (path, node.lineno)
