"""The WSGI entry point that gunicorn serves."""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")

if not settings.ENV.secret_key_given:
    # Each worker would sign sessions with a key of its own, and a restart would sign everybody out.
    raise ImproperlyConfigured("SECRET_KEY is not set. Set it to 50 random characters, the same for every process.")

application = get_wsgi_application()
