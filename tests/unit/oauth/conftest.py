"""The world that every test of the authorization server starts from."""

from tests.unit.oauth.world import shared_world, world  # noqa: F401
