"""How callers identify themselves, as the OpenAPI document says it; found by being imported."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema


class IdentityScheme(OpenApiAuthenticationExtension):
    """The Authorization header."""

    target_class = "pkgindex.accounts.rest.IdentityAuthentication"
    name = ["basic", "bearer"]

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:  # noqa: ARG002 - the base class's signature
        """Both ways to send it."""
        return [
            {"type": "http", "scheme": "basic", "description": "`__token__` and a token, or username and password."},
            {"type": "http", "scheme": "bearer", "description": "A token."},
        ]


class SessionScheme(OpenApiAuthenticationExtension):
    """The cookie of somebody who signed in to the admin."""

    target_class = "pkgindex.accounts.rest.SessionIdentityAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> Any:  # noqa: ARG002 - the base class's signature
        """Its cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
