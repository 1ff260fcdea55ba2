"""Django settings: values only; what an operator may change comes from env.py."""

from typing import Any

import django
from celery.schedules import crontab

from balancing.replication.schedule import SCHEDULE
from pkgindex import env as _env

ENV = _env.load()

BASE_DIR = _env.ROOT
DATA_DIR = ENV.data_dir
DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key
ALLOWED_HOSTS = ENV.allowed_hosts
PUBLIC_URL = ENV.public_url
TRUSTED_PROXIES = ENV.trusted_proxies
METRICS_NETWORKS = ENV.metrics_networks  # who reads /metrics without being asked who they are
ROOT_URLCONF = "pkgindex.urls"
WSGI_APPLICATION = "pkgindex.wsgi.application"
APPEND_SLASH = False  # a redirected upload is a lost upload; pages redirect themselves where the standard says so
TEST_RUNNER = "django.test.runner.DiscoverRunner"

INSTALLED_APPS = [
    "pkgindex",
    "pkgindex.accounts",
    "pkgindex.catalog",
    "pkgindex.blobs",
    "pkgindex.audit",
    "pkgindex.web",
    "throttling",
    "balancing",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "pkgindex.metrics.Measured",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "throttling.middleware.RateLimitHeaders",
    "pkgindex.throttles.Limits",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": ENV.database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": ENV.cache_url,
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            "SOCKET_CONNECT_TIMEOUT": 0.25,
            "SOCKET_TIMEOUT": 0.25,
        },
    },
}

if ENV.limits_redis_url:
    CACHES["limits"] = {**CACHES["default"], "LOCATION": ENV.limits_redis_url}

SPOOL_DIR = DATA_DIR / "spool"
PAGE_CACHE_URL = ENV.page_cache_url
PAGES_DIR = DATA_DIR / "pages"  # large pages, made again where they are lost
MAX_UPLOAD_BYTES = ENV.max_upload_bytes
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    "blobs": ENV.blob_storage,
}
ACCEL_REDIRECT_PREFIX = ENV.accel_prefix
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
# A form field of an upload can be a README of a megabyte; the file part is streamed and does not count.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # SECURE_SSL_REDIRECT, for the reason beside it
SECURE_SSL_REDIRECT = False  # a redirected upload is a lost upload: the proxy in front refuses plain HTTP instead
SECURE_HSTS_SECONDS = 31_536_000 if ENV.https_only else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = ENV.https_only
SECURE_HSTS_PRELOAD = ENV.https_only
SESSION_COOKIE_SECURE = ENV.https_only
CSRF_COOKIE_SECURE = ENV.https_only
CSRF_TRUSTED_ORIGINS = [ENV.public_url] if ENV.public_url else []
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "pkgindex.accounts.rest.IdentityAuthentication",
        "pkgindex.accounts.rest.SessionIdentityAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "pkgindex.paging.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "pkgindex.rest_answers.rest_exception_handler",
    "DEFAULT_PARSER_CLASSES": ["pkgindex.accounts.rest.JSONBody"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "pkgindex",
    "DESCRIPTION": "Tokens, roles, indexes, projects, releases and files of a private Python package index.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

THROTTLING: dict[str, Any] = {
    "ACTOR": "pkgindex.limit_changes.actor_of",
    "ADMIN_PERMISSION": "pkgindex.accounts.rest.Operator",
    "CACHE": "limits" if ENV.limits_redis_url else "default",
    "CALLER": "pkgindex.throttles.caller_of",
    "NAMES": "pkgindex.limit_names.accounts",
    "CLUSTER": ENV.limits_cluster,
    "CLUSTER_OPTIONS": ENV.limits_cluster_options,
    "MAIL_TO": ENV.limits_mail_to,
    "MOST_DELAYED": ENV.web_threads * 7 // 8,
    "WEBHOOKS": ENV.limits_webhooks,
    "SCOPES": {
        "index": "pages of the simple API and of PyPI's JSON API",
        "metadata": ".metadata files",
        "download": "wheels and sdists",
        "upload": "uploads",
        "api": "the REST API",
        "web": "pages for people and the administration",
        "login": "wrong passwords and tokens",
        "storage": "bytes of the files that a user uploaded",
        "project-storage": "bytes of a project's files",
        "index-storage": "bytes of an index's files",
    },
    "STORED": "pkgindex.storage.stored",
    "TRUSTED_PROXIES": [str(network) for network in ENV.trusted_proxies],
    "USAGE_URL": "/api/v1/usage/",
    "WORKERS": ENV.web_processes,
}

BALANCING: dict[str, Any] = {
    "SOURCE": "pkgindex.mirrors.source",
    "KEYS": ENV.mirror_keys,
    # A node that dies costs redirected clients what they ask of it until this is noticed: after five seconds or so.
    "RULES": {"interval": 4.0, "fast_interval": 1.0},
    "ZONE": ENV.zone,
    "AWAY": ENV.zones_away,
}

CELERY_BROKER_URL = ENV.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_TIME_LIMIT = 3_600
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SERIALIZER = "json"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = SCHEDULE | {
    # A heartbeat that waited longer than the next one is no news, and must not pile up while no worker runs.
    "heartbeat": {"task": "pkgindex.heartbeat", "schedule": 5.0, "options": {"expires": 15}},
    "collect blobs": {"task": "blobs.collect", "schedule": crontab(hour="3", minute="17")},
    "recount storage": {"task": "pkgindex.recount_storage", "schedule": crontab(hour="4", minute="23")},
    "sweep unfinished uploads": {"task": "blobs.sweep", "schedule": crontab(minute="41")},
}

DEFAULT_FROM_EMAIL = ENV.mail_from
if django.VERSION >= (6, 1):
    MAILERS = {"default": ENV.mail}
else:
    EMAIL_BACKEND = ENV.mail["BACKEND"]
    EMAIL_HOST = ENV.mail["OPTIONS"].get("host", "")
    EMAIL_PORT = ENV.mail["OPTIONS"].get("port", 0)
    EMAIL_HOST_USER = ENV.mail["OPTIONS"].get("username", "")
    EMAIL_HOST_PASSWORD = ENV.mail["OPTIONS"].get("password", "")
    EMAIL_USE_TLS = ENV.mail["OPTIONS"].get("use_tls", False)
    EMAIL_USE_SSL = ENV.mail["OPTIONS"].get("use_ssl", False)
    EMAIL_TIMEOUT = ENV.mail["OPTIONS"].get("timeout")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"without_readiness": {"()": "pkgindex.probes.WithoutReadiness"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["without_readiness"]},
    },
    # A 401 or a 404 is an installer's daily bread: a log line for each would bury what matters.
    "loggers": {"django.request": {"level": "ERROR"}},
    "root": {"handlers": ["stderr"], "level": ENV.log_level},
}
