"""From a row, or a line of the shared picture, to what can be done with the node it names."""

from functools import lru_cache
from typing import Protocol

from balancing import conf
from balancing.backends import Backend
from balancing.buckets import Bucket
from balancing.node.client import NodeClient
from balancing.s3 import Place


class Described(Protocol):
    """What `models.Node` and `snapshot.NodeView` have in common."""

    @property
    def name(self) -> str:
        """Its id, for which requests are signed."""

    @property
    def kind(self) -> str:
        """server or bucket."""

    @property
    def url(self) -> str:
        """Where we reach it."""

    @property
    def public_url(self) -> str:
        """Where clients reach it, if elsewhere."""

    @property
    def bucket(self) -> str:
        """The bucket's name."""

    @property
    def region(self) -> str:
        """The bucket's region."""

    @property
    def prefix(self) -> str:
        """The start of the bucket's keys."""


def backend_for(node: Described, *, timeout: float | None = None) -> Backend:
    """The backend of a node, kept while its fields and our keys stay as they are. `timeout` bounds each wait (seconds).

    Raises ValueError where its URL is none, and ImproperlyConfigured where a node server would need keys and has none.
    """
    settings = conf.get()
    seconds = settings.node_timeout if timeout is None else timeout
    if node.kind == "bucket":
        return _bucket(Place(node.bucket, node.url, node.region, node.prefix, node.public_url), seconds)
    return _server(node.name, node.url, node.public_url, seconds, tuple(settings.keys.items()))


@lru_cache(maxsize=256)
def _server(name: str, url: str, public_url: str, timeout: float, _keys: tuple[tuple[str, str], ...]) -> NodeClient:
    return NodeClient(url, conf.get().keyring(name), public_url=public_url, timeout=timeout)


@lru_cache(maxsize=64)
def _bucket(place: Place, timeout: float) -> Bucket:
    return Bucket(place, timeout=timeout)
