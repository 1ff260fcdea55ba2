"""The product's settings with the few differences that make tests quick; nothing here switches behaviour off."""

from pkgindex.settings import *  # noqa: F403
from pkgindex.settings import DATA_DIR, DATABASES, STATIC_ROOT, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
ALLOWED_HOSTS = ["*"]
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns without it

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, as in production: Django's in-memory database answers "table is locked" where a file waits.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
    pragmas = DATABASES["default"]["OPTIONS"]["init_command"].replace("synchronous=FULL", "synchronous=OFF")
    DATABASES["default"]["OPTIONS"]["init_command"] = pragmas
