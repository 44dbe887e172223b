"""Protected resource metadata (RFC 9728): whose tokens the routes and the gateway take, and how."""

from typing import Any
from urllib.parse import urlsplit

from exchange.formats.dpop import SIGNING_ALGORITHMS
from exchange.oauth.rar import TYPES
from exchange.participants.model import SCOPES
from exchange.settings import Settings

PATH = "/.well-known/oauth-protected-resource"


def metadata_url(settings: Settings, resource: str) -> str | None:
    """Return where a resource's document is (section 3.1); None where it is not served here."""
    parts = urlsplit(resource)
    path = PATH + parts.path
    if resource_documents(settings).get(path, {}).get("resource") != resource:
        return None
    return f"{parts.scheme}://{parts.netloc}{path}"


def resource_documents(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the documents by their paths here: of the routes, and of the mounted gateway."""
    issuer, connector = settings.issuer_url, settings.connector_url
    common = {
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(SIGNING_ALGORITHMS),
        "dpop_bound_access_tokens_required": False,
        "resource_documentation": f"{issuer}/docs",
    }
    found = {
        PATH + urlsplit(issuer).path: {
            "resource": issuer,
            **common,
            "resource_name": "Data-sharing exchange",
            "resource_name#zh": "数据共享交换平台",
            "scopes_supported": sorted(frozenset().union(*SCOPES.values())),
        }
    }
    here, there = urlsplit(issuer), urlsplit(connector)
    if (here.scheme, here.netloc) == (there.scheme, there.netloc):  # section 3.1: on its own host
        found[PATH + there.path] = {
            "resource": connector,
            **common,
            "resource_name": "Gateway of the data-sharing exchange",
            "resource_name#zh": "数据共享交换平台网关",
            "authorization_details_types_supported": list(TYPES),
        }
    return found
