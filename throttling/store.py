"""The process's one store, made from the settings when it is first needed."""

import threading
from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.module_loading import import_string
from django_redis import get_redis_connection

from throttling import conf
from throttling.stores import clients
from throttling.stores.base import Store
from throttling.stores.failover import FailoverStore
from throttling.stores.memory import MemoryStore
from throttling.stores.redis import RedisStore

_lock = threading.Lock()
_store: Store | None = None


def get() -> Store:
    """Redis with memory behind it, or memory alone where the settings say so. Never raises StoreError by itself."""
    global _store  # noqa: PLW0603 - one per process, made late so that a fork makes its own
    if _store is None:
        with _lock:
            _store = _store or make(conf.get())
    return _store


def make(options: conf.Conf) -> Store:
    """A store as these options say."""
    if options.store == "memory":
        return MemoryStore()
    return FailoverStore(
        RedisStore(_client_maker(options)), MemoryStore(), workers=options.workers, retry=options.retry
    )


def reset() -> None:
    """Forget the store: the next use makes a new one."""
    global _store  # noqa: PLW0603 - see get
    with _lock:
        _store = None


def is_well() -> bool:
    """True while decisions are made where they belong: nobody has found the store to be away."""
    held = _store
    return not (isinstance(held, FailoverStore) and held.breaker.is_open)


def status() -> dict[str, Any]:
    """For health pages: `state` (closed, open, memory) and, while open, since when and why."""
    store = get()
    return store.status() if isinstance(store, FailoverStore) else {"state": "memory"}


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"THROTTLING", "CACHES"}:
        conf.get.cache_clear()
        reset()


def _client_maker(options: conf.Conf) -> Any:
    held: list[Any] = []
    lock = threading.Lock()

    def client() -> Any:
        if not held:
            with lock:
                if not held:
                    held.append(_make_client(options))
        return held[0]

    return client


def _make_client(options: conf.Conf) -> Any:
    if options.client:
        return import_string(options.client)()
    if options.cluster:
        return clients.cluster(options.cluster, options.timeout, options.cluster_options)
    return clients.impatient(get_redis_connection(options.cache, write=True), options.timeout)
