"""System checks: each deployment that would be wrong, with what to do about it. `manage.py check --deploy` runs all."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name for it
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from throttling import conf

LOOPBACK = {"127.0.0.1", "localhost", "[::1]", "testserver"}


@register(Tags.security, deploy=True)
def secret_key_is_given(**_: Any) -> list[CheckMessage]:
    """Without one, each process signs with a key of its own; pkgindex.wsgi does not even start."""
    if settings.ENV.secret_key_given:
        return []
    hint = "Set SECRET_KEY to 50 random characters, the same for every process, and keep it over restarts."
    return [Error("SECRET_KEY is not set.", hint=hint, id="pkgindex.E001")]


@register(Tags.security)
def debug_stays_at_home(**_: Any) -> list[CheckMessage]:
    """DEBUG shows settings and SQL to whoever makes the service fail."""
    public = sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK)
    if not settings.DEBUG or not public:
        return []
    hint = "Unset DEBUG, or leave only addresses of this machine in ALLOWED_HOSTS."
    return [Error(f"DEBUG is on and ALLOWED_HOSTS names {public[0]}.", hint=hint, id="pkgindex.E002")]


@register(Tags.urls)
def public_url_is_a_base(**_: Any) -> list[CheckMessage]:
    """PUBLIC_URL begins every absolute link, so it is scheme and host, perhaps with a path, and nothing more."""
    url = urlsplit(settings.PUBLIC_URL)
    if not settings.PUBLIC_URL:
        return []
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        hint = "Write it as https://packages.example.org."
        return [Error("PUBLIC_URL is not the URL of a site.", hint=hint, id="pkgindex.E003")]
    if settings.ENV.https_only and url.scheme == "http":
        hint = "Write PUBLIC_URL with https, or unset HTTPS_ONLY."
        return [Error("HTTPS_ONLY is on and PUBLIC_URL begins with http.", hint=hint, id="pkgindex.E004")]
    return []


@register(Tags.security, deploy=True)
def hosts_are_named(**_: Any) -> list[CheckMessage]:
    """With any host allowed, a request can make the service write links to somebody else's."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    hint = "List the names by which people and installers reach the service."
    return [Warning("ALLOWED_HOSTS allows every host.", hint=hint, id="pkgindex.W005")]


@register(Tags.security, deploy=True)
def limits_are_not_evicted(**_: Any) -> list[CheckMessage]:
    """A counter that Redis drops for want of memory is a limit that starts anew. Silent where Redis is not reached."""
    options = conf.get()
    if options.store != "redis" or options.client or options.cluster:
        return []
    try:
        memory = get_redis_connection(options.cache, write=True).info("memory")
    except (RedisError, OSError):
        return []  # a check must also work where the configuration is built, far from the servers
    if not memory.get("maxmemory") or memory.get("maxmemory_policy", "noeviction") == "noeviction":
        return []
    hint = "Set maxmemory-policy noeviction, or name another server in LIMITS_REDIS_URL."
    text = f"The Redis of the limits drops keys when it is full ({memory['maxmemory_policy']})."
    return [Warning(text, hint=hint, id="pkgindex.W007")]


@register(Tags.security, deploy=True)
def proxies_are_few(**_: Any) -> list[CheckMessage]:
    """A trusted network of everybody lets everybody choose the address that limits and records see."""
    everyone = [str(network) for network in settings.TRUSTED_PROXIES if network.prefixlen == 0]
    if not everyone:
        return []
    hint = "List the addresses of your own proxies only."
    return [Warning(f"TRUSTED_PROXIES holds {everyone[0]}, which is everybody.", hint=hint, id="pkgindex.W006")]
