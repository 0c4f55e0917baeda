"""The HTTP routes: for people, for providers and for programs."""

from auth.routes.api import api_routes, docs_routes, health_routes
from auth.routes.backchannel import backchannel_routes
from auth.routes.login import login_routes, safe_next

__all__ = ["api_routes", "backchannel_routes", "docs_routes", "health_routes", "login_routes", "safe_next"]
