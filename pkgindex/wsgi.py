"""The WSGI entry point that gunicorn serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")

if not settings.ENV.secret_key_given:
    # Each worker would sign sessions with a key of its own, and a restart would sign everybody out.
    raise ImproperlyConfigured("SECRET_KEY is not set. Set it to 50 random characters, the same for every process.")

_django = get_wsgi_application()


def _guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django reads the Content-Type before any of its own error handling and fails on an extended parameter (RFC 8187)
    of an unknown character set; such a type is taken for none, which the doors answer as they do.
    """  # noqa: D205 - one sentence
    if "*" in environ.get("CONTENT_TYPE", ""):
        try:
            parse_header_parameters(environ["CONTENT_TYPE"])
        except (ValueError, LookupError):
            environ["CONTENT_TYPE"] = ""
    return _django(environ, start_response)


from pkgindex.hits import Hits  # noqa: E402 - needs Django set up

application = Hits(_guarded)
