"""What OAuth clients are told of the addresses that take tokens (RFC 9728)."""

from collections.abc import Mapping, Sequence
from typing import Any

from auth.urls import Site

WELL_KNOWN = "/.well-known/oauth-protected-resource"
MCP = "/gradio/gradio_api/mcp"
PARTS = (MCP, f"{MCP}/", f"{MCP}/http", f"{MCP}/http/", f"{MCP}/sse")
"""Addresses that clients call by themselves: each is a resource of its own, all the rest of the app is one."""


class ProtectedResources:
    """The metadata of each resource.

    Args:
        authorization_servers: the issuers whose tokens are accepted, the one to ask first at the front.
        scopes: what their tokens may need.
    """

    def __init__(self, site: Site, *, authorization_servers: Sequence[str], scopes: Sequence[str]) -> None:
        self._site = site
        self._common = {
            "authorization_servers": list(authorization_servers),
            "bearer_methods_supported": ["header"],
            **({"scopes_supported": list(scopes)} if scopes else {}),
        }

    def address(self, path: str) -> str:
        """Where the metadata of the resource at a path of the app is (section 5.1)."""
        path = path.removeprefix(self._site.prefix)
        return f"{self._site.base_url}{WELL_KNOWN}{path if path in PARTS else ''}"

    def document(self, path: str) -> Mapping[str, Any] | None:
        """The metadata whose address has this path after the well-known part, with or without the path of
        `PUBLIC_URL` (section 3.1); None where there is none. Its `resource` is what the client calls (section 3.3).
        """
        if self._site.prefix and f"{path}/".startswith(f"{self._site.prefix}/"):
            path = path.removeprefix(self._site.prefix)
        if path not in ("", "/", *PARTS):
            return None
        return {"resource": f"{self._site.base_url}{path if path in PARTS else '/'}", **self._common}
