"""System checks: a wrong deployment is told at start, with what to do about it."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from throttling import conf


@register("throttling")
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 - Django's signature
    """Everything that `THROTTLING` can get wrong."""
    try:
        options = conf.get()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="See docs/reference/limits.md for the keys.", id="throttling.E001")]
    except TypeError:
        return [Error("THROTTLING must be a dictionary.", id="throttling.E001")]
    return [*_store(options), *_networks(options.trusted_proxies), *_paths(options), *_numbers(options)]


def _store(options: conf.Conf) -> list[CheckMessage]:
    if options.store not in {"redis", "memory"}:
        return [Error(f"THROTTLING STORE {options.store!r} is neither redis nor memory.", id="throttling.E002")]
    if options.store == "memory":
        hint = "Each process counts for itself: n processes admit n times the limit. Use redis."
        return [] if settings.DEBUG else [Warning("Limits are counted in memory.", hint=hint, id="throttling.W001")]
    if options.client or options.cluster:
        return []
    backend = str(getattr(settings, "CACHES", {}).get(options.cache, {}).get("BACKEND", ""))
    if not backend.startswith("django_redis"):
        hint = "Name a django_redis cache in THROTTLING CACHE, or set CLUSTER or CLIENT."
        return [Error(f"The cache {options.cache!r} is not one of django-redis.", hint=hint, id="throttling.E003")]
    return []


def _networks(texts: Sequence[str]) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for text in texts:
        try:
            network = ip_network(text, strict=False)
        except ValueError as error:
            found.append(Error(f"THROTTLING TRUSTED_PROXIES: {error}.", id="throttling.E004"))
            continue
        if network.prefixlen == 0:
            hint = "Any client could write its own address. Name the proxies' networks."
            found.append(Warning(f"{text} trusts everybody as a proxy.", hint=hint, id="throttling.W002"))
    return found


def _paths(options: conf.Conf) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    paths = {
        "CALLER": options.caller,
        "CLIENT": options.client,
        "ACTOR": options.actor,
        "ADMIN_PERMISSION": options.admin_permission,
        "STORED": options.stored,
        "NAMES": options.names,
    }
    for name, path in paths.items():
        if not path:
            continue
        try:
            import_string(path)
        except ImportError as error:
            found.append(Error(f"THROTTLING {name}: {error}", id="throttling.E005"))
    return found


def _numbers(options: conf.Conf) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not 0 < options.timeout <= 5 or not 0 < options.retry <= 60 or not 0 < options.plan_seconds <= 1:
        text = "THROTTLING TIMEOUT must be up to 5 s, RETRY up to 60 s and PLAN_SECONDS up to 1 s."
        found.append(Error(text, id="throttling.E006"))
    if options.workers < 1:
        found.append(Error("THROTTLING WORKERS must be at least 1.", id="throttling.E007"))
    if options.most_delayed < 0:
        hint = "Most of the threads of a process; 0 refuses what would be delayed."
        found.append(Error("THROTTLING MOST_DELAYED must not be negative.", hint=hint, id="throttling.E008"))
    return found
