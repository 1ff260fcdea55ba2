"""Settings of the bare control: no database, one view, and no middleware unless it is the usual one."""

import os

SECRET_KEY = "only-for-benchmarks"  # noqa: S105 - it signs nothing
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.suite.control.app"
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
]
USE_TZ = True
PAGES = os.environ["CONTROL_PAGES"]  # the folder of the answers
REDIS_URL = os.environ["CONTROL_REDIS"]
WIRE = os.environ["CONTROL_WIRE"]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
USUAL = [  # as `django-admin startproject` writes them
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
MIDDLEWARE = USUAL if WIRE == "usual" else []
