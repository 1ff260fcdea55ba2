"""The one setting, `THROTTLING`: a dictionary with these defaults. Times are seconds."""

from dataclasses import dataclass, field, fields
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Conf:
    """Names are the keys of the setting in lower case."""

    store: str = "redis"  # or memory: one process only
    cache: str = "default"  # the alias of a django-redis cache
    client: str = ""  # dotted path of a callable that gives a raw client, instead of `cache`
    cluster: tuple[str, ...] = ()  # host:port of some nodes of a Redis Cluster, instead of `cache`
    cluster_options: dict[str, Any] = field(default_factory=dict)  # username, password, ssl
    timeout: float = 0.05  # how long one request may wait for the store
    retry: float = 1.0  # how often an absent store is asked again
    workers: int = 1  # processes of all hosts: while the store is away each enforces its share
    plan_seconds: float = 1.0  # how old the plans in force may be
    caller: str = "throttling.callers.caller_of"  # dotted path: request -> Caller
    names: str = ""  # dotted path of a callable that gives who is who: see throttling.named
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed
    scopes: dict[str, str] = field(default_factory=dict)  # registered words -> what they are, for people
    mail_to: tuple[str, ...] = ()  # who hears of bans
    mail_from: str = ""
    webhooks: tuple[str, ...] = ()  # URLs that get a JSON POST at each ban
    admin_permission: str = "rest_framework.permissions.IsAdminUser"  # who may use the REST views of `register`
    actor: str = ""  # dotted path: request -> the name under which changes are recorded; default: the user's
    stored: str = ""  # dotted path: subject -> bytes that it keeps, None where nobody can tell; see throttling.stock
    usage_url: str = ""  # where a refused caller sees how they stand
    most_delayed: int = 16  # requests that a process holds back at once; further ones are refused. Most of its threads
    accel_life: int = 60  # least life of a lease that nginx cannot give back

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The trusted proxies as networks."""
        return _networks(self.trusted_proxies)


@cache
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


@cache
def get() -> Conf:
    """The setting as a value. Raises ImproperlyConfigured for a key that does not exist."""
    given = {key.lower(): value for key, value in getattr(settings, "THROTTLING", {}).items()}
    unknown = sorted(set(given) - {item.name for item in fields(Conf)})
    if unknown:
        raise ImproperlyConfigured(f"THROTTLING has no key {', '.join(name.upper() for name in unknown)}.")
    lists = {key: tuple(map(str, value)) for key, value in given.items() if isinstance(value, list | tuple)}
    return Conf(**(given | lists))
