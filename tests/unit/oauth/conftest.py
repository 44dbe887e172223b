"""The world that every test of the authorization server starts from."""

from tests.unit.oauth.world import world  # noqa: F401
