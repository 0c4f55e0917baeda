"""The HTTP routes: for people, for providers and for programs."""

from auth.routes.api import api_routes, docs_routes, health_routes
from auth.routes.backchannel import backchannel_routes
from auth.routes.login import login_routes, safe_next
from auth.routes.oauth import oauth_routes, resource_routes
from auth.routes.sign_in import sign_in_routes
from auth.routes.way import examine_way, way_routes

__all__ = [
    "api_routes",
    "backchannel_routes",
    "docs_routes",
    "examine_way",
    "health_routes",
    "login_routes",
    "oauth_routes",
    "resource_routes",
    "safe_next",
    "sign_in_routes",
    "way_routes",
]
