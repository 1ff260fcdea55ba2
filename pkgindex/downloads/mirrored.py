"""Files from mirror nodes: through us (`proxy`), or by sending the client to the node (`redirect`).

Whatever a node cannot give comes from our own storage, so a file that can be seen can be fetched: before its copies are
made, while every node is down, and from the byte on at which the last node died.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from balancing import conf, health, manifests, picker, queueing
from balancing.backends import Backend, NodeError
from balancing.nodes import backend_for
from balancing.picture import NodeView
from balancing.policies import DEFAULT
from balancing.proxying import Ended, Listener, stream
from balancing.replication import requests
from pkgindex import shared
from pkgindex.accounts.identity import caller
from pkgindex.clientip import client_ip
from pkgindex.downloads import delivery
from pkgindex.downloads.delivery import CONTENT_TYPE, Asset, Way
from pkgindex.downloads.ranges import RangeNotSatisfiable, Span
from pkgindex.sending import Window

SMALL_BYTES = 64 << 10  # below, a second connection costs the client more than the bytes cost us
HOUR = 3_600
PATIENCE = 4.0  # seconds of silence from a node: three silent ones cost less than the 15 s for which pip waits
STEADY = frozenset({DEFAULT, "zone_aware"})  # policies that give the same client the same node by themselves

log = logging.getLogger(__name__)


def way_for(asset: Asset, wanted: str, policy: str) -> Way:
    """How these bytes go out where their index wants `wanted`, one of catalog.models.Delivery."""
    if wanted == "direct":
        return delivery.direct
    if wanted == "accel" or asset.is_metadata or asset.size <= SMALL_BYTES:
        return delivery.own
    return partial(redirect if wanted == "redirect" else proxy, policy=policy)


def redirect(request: HttpRequest, asset: Asset, policy: str) -> HttpResponseBase:
    """Send the client to the node that `policy` picks: within an hour the same client to the same URL.

    A part of a file is relayed instead, since uv does not follow a redirect to one; HEAD is answered from here.
    """
    if request.method != "GET":
        return delivery.own(request, asset)
    if request.headers.get("Range"):
        return proxy(request, asset, policy)
    client = _client(request)
    nodes = picker.order(asset.sha256, picker.holders(asset.sha256), policy, client)
    if not nodes or picker.in_panic():
        return delivery.own(request, asset)
    if policy not in STEADY:
        before = _steady(client, asset.sha256, nodes[0].name)
        nodes.sort(key=lambda one: one.name != before)
    for node, backend in _backends(nodes):
        try:
            url = backend.url(asset.sha256, time.time(), conf.get().url_life)
        except (NodeError, ValueError) as error:
            log.warning("%s cannot be redirected to: %s", node, error)
            continue
        picker.redirected(node, asset.sha256, client, asset.size)
        response = HttpResponse(status=302, content_type="text/plain; charset=utf-8")
        response["Location"] = url
        return response
    return delivery.own(request, asset)


def proxy(request: HttpRequest, asset: Asset, policy: str) -> HttpResponseBase:
    """Relay the bytes, or the part that is asked for, from a node; where it dies, the next goes on at the same byte."""
    if request.method != "GET":
        return delivery.own(request, asset)
    nodes = queueing.order(asset.sha256, picker.holders(asset.sha256), policy)
    if not nodes or picker.in_panic():
        return delivery.own(request, asset)
    try:
        span = delivery.span_of(request, asset)
    except RangeNotSatisfiable as error:
        return delivery.not_satisfiable(asset, error)
    part = span or Span(0, asset.size)
    blocks = stream(
        asset.sha256,
        asset.size,
        (part.start, part.start + part.length),
        _backends(nodes),
        partial(_own_blocks, asset),
        Listener(picker.begun, _ended, partial(_doubted, asset.sha256)),
        manifests.of(asset.sha256, asset.size),
    )
    return delivery.describe(StreamingHttpResponse(blocks, content_type=CONTENT_TYPE), asset, span)


def _backends(nodes: Iterable[NodeView]) -> Iterator[tuple[str, Backend]]:
    """Each node with what can be done with it; one whose row makes no sense is passed over."""
    for node in nodes:
        try:
            yield node.name, backend_for(node, timeout=PATIENCE)
        except (ValueError, ImproperlyConfigured) as error:
            log.warning("%s cannot be used: %s", node.name, error)


def _own_blocks(asset: Asset, start: int, end: int) -> Iterator[bytes]:
    window = Window(delivery.opened(asset), start, end - start)
    try:
        yield from window
    finally:
        window.close()


def _ended(end: Ended) -> None:
    picker.ended(end.node, end.seconds, end.ok, end.size)
    if end.ok:
        health.succeeded(end.node, end.seconds)
    elif end.ok is False:
        health.failed(end.node, end.reason)


def _doubted(digest: str, nodes: tuple[str, ...]) -> None:
    # Each copy is read again by its node before it is made anew, so one that is whole only pauses.
    for name in nodes:
        requests.corrupt(digest, name, "A reader got other bytes than the file's.")


def _client(request: HttpRequest) -> str:
    who = caller(request)
    return f"{who.token_id or who.user_id or ''}@{client_ip(request)}"


def _steady(client: str, digest: str, node: str) -> str:
    """The node that this client was sent to for the file within the hour, else `node`, which is remembered."""
    key = f"mirror:{client}:{digest}"

    def work(redis: Any) -> bytes | None:
        pipeline = redis.pipeline(transaction=False)
        pipeline.set(key, node, nx=True, ex=HOUR)
        pipeline.get(key)
        found: bytes | None = pipeline.execute()[1]
        return found

    found = shared.attempt(work, None)
    return found.decode() if found else node
