"""What the settings make of each other."""

import pytest

from exchange.settings import Settings


@pytest.mark.parametrize(
    ("host", "issuer"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_issuer_is_a_url(host, issuer):
    assert Settings(host=host, issuer="").issuer_url == issuer


def test_an_issuer_has_no_slash_at_its_end():
    settings = Settings(issuer="https://exchange.example/")
    assert settings.issuer_url == "https://exchange.example"
    assert settings.connector_url == "https://exchange.example/gateway"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_one_driver(scheme):
    settings = Settings(database_url=f"{scheme}://u:p@h/n")
    assert settings.database == "postgresql+psycopg://u:p@h/n"


def test_a_password_is_not_shown():
    assert "secret" not in repr(Settings(database_url="postgresql://u:secret@h/n"))
