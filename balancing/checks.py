"""System checks: a wrong deployment is told at start, with what to do about it."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from balancing import conf

REFERENCE = "See docs/reference/balancing.md for the keys."


@register("balancing")
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Everything that `BALANCING` can get wrong."""
    given = getattr(settings, "BALANCING", {})
    if not isinstance(given, dict):
        return [Error("BALANCING must be a dictionary.", hint=REFERENCE, id="balancing.E001")]
    try:
        options = conf.get()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=REFERENCE, id="balancing.E001")]
    return [*_keys(options), *_source(options), *_rules(options), *_cache(options), *_numbers(options)]


def _keys(options: conf.Conf) -> list[CheckMessage]:
    if not options.keys:
        return []  # a project without nodes needs none
    hint = "One key is 64 hex digits: python -c 'import secrets; print(secrets.token_hex(32))'."
    try:
        options.keyring("node")
    except (ValueError, TypeError, AttributeError) as error:
        # What cannot be read as hex might be shown by the error: it is a secret.
        told = "shorter" in str(error) or "id has" in str(error)
        text = str(error) if told else "a key is not written in hex digits."
        return [Error(f"BALANCING KEYS: {text}", hint=hint, id="balancing.E002")]
    return []


def _source(options: conf.Conf) -> list[CheckMessage]:
    hint = "Name a callable, by its dotted path, that gives a balancing.source.Source."
    if not options.source:
        return []  # nodes without anything to replicate: checked where it is used
    try:
        found = import_string(options.source)
    except ImportError as error:
        return [Error(f"BALANCING SOURCE: {error}", hint=hint, id="balancing.E003")]
    if not callable(found):
        return [Error(f"BALANCING SOURCE {options.source} cannot be called.", hint=hint, id="balancing.E003")]
    return []


def _rules(options: conf.Conf) -> list[CheckMessage]:
    hint = "The keys and their defaults are the fields of balancing.states.Rules."
    if not isinstance(options.rules, dict):
        return [Error("BALANCING RULES must be a dictionary.", hint=hint, id="balancing.E004")]
    for name, value in options.rules.items():
        if not isinstance(value, int | float) or isinstance(value, bool):
            return [Error(f"BALANCING RULES: {name} must be a number.", hint=hint, id="balancing.E004")]
    try:
        _ = options.health
    except (TypeError, ValueError) as error:
        return [Error(f"BALANCING RULES: {error}", hint=hint, id="balancing.E004")]
    return []


def _cache(options: conf.Conf) -> list[CheckMessage]:
    backend = str(getattr(settings, "CACHES", {}).get(options.cache, {}).get("BACKEND", ""))
    if not backend.startswith("django_redis"):
        hint = "Name a django_redis cache in BALANCING CACHE: it carries the picture that all processes share."
        return [Error(f"The cache {options.cache!r} is not one of django-redis.", hint=hint, id="balancing.E005")]
    return []


def _numbers(options: conf.Conf) -> list[CheckMessage]:
    limits = {"picture_seconds": 1, "probe_timeout": 30, "node_timeout": 300, "lost_after": 10**8, "queue_seconds": 10}
    found: list[CheckMessage] = []
    for name, most in limits.items():
        value = getattr(options, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
            text = f"BALANCING {name.upper()} must be a number of seconds above 0, at most {most}."
            found.append(Error(text, hint=REFERENCE, id="balancing.E006"))
    for name in ("url_life", "attempts", "transfers", "lease"):
        value = getattr(options, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 1:
            found.append(Error(f"BALANCING {name.upper()} must be at least 1.", hint=REFERENCE, id="balancing.E006"))
    for name in ("keep_probes", "bandwidth", "queue"):
        value = getattr(options, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            found.append(Error(f"BALANCING {name.upper()} must not be negative.", hint=REFERENCE, id="balancing.E006"))
    return found
