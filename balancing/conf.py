"""The one setting, `BALANCING`: a dictionary with these defaults. Times are seconds, sizes bytes."""

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver

from balancing.signing import Keyring
from balancing.states import Rules


@dataclass(frozen=True, slots=True)
class Conf:
    """Names are the keys of the setting in lower case."""

    source: str = ""  # dotted path of a callable that gives a `balancing.source.Source`: what is replicated
    cache: str = "default"  # the alias of the django-redis cache that carries the shared picture
    keys: dict[str, str] = field(default_factory=dict, repr=False)  # key id -> hex, the current one first
    rules: dict[str, Any] = field(default_factory=dict)  # other values for balancing.states.Rules
    zone: str = ""  # where this host stands, for policies that prefer near nodes
    away: tuple[str, ...] = ()  # zones that traffic has been moved away from
    picture_seconds: float = 1.0  # how old the picture of the nodes may be
    probe_timeout: float = 3.0
    node_timeout: float = 10.0  # how long one wait for a node may last
    url_life: int = 3_600  # least life of a signed URL
    attempts: int = 8  # transfers of one copy before it is given up until somebody asks for it anew
    lease: float = 120.0  # a transfer renews its lease while bytes flow; one that was killed is free again after this
    transfers: int = 4  # at once to one node
    bandwidth: int = 0  # to one node, bytes a second; 0: no limit
    queue: int = 0  # relayed downloads of one process that may wait for a node at its max_conns
    queue_seconds: float = 1.0
    lost_after: float = 3_600.0  # a node that was down for so long no longer counts as a place of copies
    keep_probes: int = 200  # rows of history per node

    @property
    def health(self) -> Rules:
        """How health is judged. Raises TypeError or ValueError where a number is wrong."""
        return Rules(**self.rules)

    def keyring(self, node: str) -> Keyring:
        """The keys for one node. Raises ImproperlyConfigured where there are none."""
        if not self.keys:
            raise ImproperlyConfigured("BALANCING has no KEYS: without one no node trusts us.")
        return Keyring(next(iter(self.keys)), {name: bytes.fromhex(text) for name, text in self.keys.items()}, node)


@cache
def get() -> Conf:
    """The setting as a value. Raises ImproperlyConfigured for a key that does not exist."""
    given = {key.lower(): value for key, value in getattr(settings, "BALANCING", {}).items()}
    unknown = sorted(set(given) - {item.name for item in fields(Conf)})
    if unknown:
        raise ImproperlyConfigured(f"BALANCING has no key {', '.join(name.upper() for name in unknown)}.")
    lists = {key: tuple(map(str, value)) for key, value in given.items() if isinstance(value, list | tuple)}
    return Conf(**(given | lists))


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "BALANCING":
        get.cache_clear()
