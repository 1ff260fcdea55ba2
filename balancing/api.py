"""REST: nodes, copies and lag, for whom the project lets in; how the nodes are, for everybody.

A project mounts them with `register(router, permission_classes=[…])`, and shows what `status()` gives.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import SimpleLazyObject
from rest_framework import serializers, viewsets
from rest_framework import status as http
from rest_framework.decorators import action
from rest_framework.permissions import IsAdminUser
from rest_framework.request import Request
from rest_framework.response import Response

from balancing import listing, services, stats
from balancing.models import Node, Replica, ReplicaState
from balancing.replication import requests
from balancing.serializers import (
    FileLagSerializer,
    LagSerializer,
    NodeSerializer,
    ProbeSerializer,
    ReplicaSerializer,
    actor_of,
)
from balancing.status import status

__all__ = ["LagViewSet", "NodeViewSet", "ReplicaViewSet", "register", "status"]

DIGEST = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(r"[a-z0-9-]{1,40}")
PAGE, MOST = 100, 1_000
MOST_ID = 2**63 - 1


class NodeViewSet(viewsets.ModelViewSet[Node]):
    """Nodes, by name."""

    queryset = Node.objects.select_related("health")
    serializer_class = NodeSerializer
    lookup_field = "name"
    lookup_value_regex = "[a-z0-9-]{1,40}"
    pagination_class = None
    filter_backends: list[Any] = []

    def get_serializer_context(self) -> dict[str, Any]:
        """A list asks for the traffic and the lag of all nodes once, and a generator of schemas for neither."""
        context = dict(super().get_serializer_context())
        if self.action != "list":
            return context
        return context | {"served": SimpleLazyObject(stats.served), "lag": SimpleLazyObject(stats.lag)}

    def perform_destroy(self, instance: Node) -> None:
        """Through `services`."""
        services.remove(instance, actor_of(self.request))

    @action(detail=True, methods=["post"])
    def drain(self, request: Request, name: str) -> Response:
        """Give it nothing new; what it serves may end."""
        return self._move(services.drain, request, name)

    @action(detail=True, methods=["post"])
    def activate(self, request: Request, name: str) -> Response:
        """Offer it again."""
        return self._move(services.activate, request, name)

    @action(detail=True, methods=["post"])
    def disable(self, request: Request, name: str) -> Response:
        """Offer it no more and leave it alone."""
        return self._move(services.disable, request, name)

    @action(detail=True, methods=["post"])
    def sync(self, request: Request, name: str) -> Response:  # noqa: ARG002 - the router's signature
        """Compare it with what it should have, and repair, in the background."""
        return self._ask(requests.sync)

    @action(detail=True, methods=["post"])
    def verify(self, request: Request, name: str) -> Response:  # noqa: ARG002 - the router's signature
        """Have it read all of its copies again, in the background."""
        return self._ask(requests.verify)

    @action(detail=True, methods=["get"])
    def probes(self, request: Request, name: str) -> Response:  # noqa: ARG002 - the router's signature
        """The last probes, the latest first."""
        rows = self.get_object().probes.order_by("-id")[:PAGE]
        return Response(ProbeSerializer(rows, many=True).data)

    def _move(self, work: Callable[[str, str], bool], request: Request, name: str) -> Response:
        self.get_object()
        work(name, actor_of(request))
        return Response(self.get_serializer(self.get_object()).data)

    def _ask(self, work: Callable[[str], bool]) -> Response:
        if work(self.get_object().pk):
            return Response({"accepted": True}, status=http.HTTP_202_ACCEPTED)
        return Response({"accepted": False, "detail": "The broker does not take tasks now."}, status=503)


class ReplicaViewSet(viewsets.GenericViewSet[Replica]):
    """Copies, a page at a time: `next` is the `after` of the next page, null on the last one."""

    queryset = Replica.objects.all()
    serializer_class = ReplicaSerializer
    pagination_class = None
    filter_backends: list[Any] = []

    def list(self, request: Request) -> Response:
        """Filtered by `node`, `state` and `digest`; `limit` up to 1,000."""
        given = {key: request.query_params[key] for key in ("node", "state", "digest") if key in request.query_params}
        limit = _limit(request.query_params.get("limit", str(PAGE)))
        # Each in an order that an index is in: by digest on one node in one state, by id otherwise.
        key = "digest" if given.keys() == {"node", "state"} else "id"
        rows = self._after(_filtered(self.get_queryset(), given), key, request.query_params.get("after"))
        found = list(rows.order_by(key)[: limit + 1])
        page, more = found[:limit], len(found) > limit
        after = str(getattr(page[-1], key)) if more else None
        return Response({"results": self.get_serializer(page, many=True).data, "next": after})

    def _after(self, rows: "QuerySet[Replica]", key: str, after: str | None) -> "QuerySet[Replica]":
        if after is None:
            return rows
        if key == "digest" and DIGEST.fullmatch(after):
            return rows.filter(digest__gt=after)
        if key == "id" and after.isascii() and after.isdigit() and len(after) < 20 and int(after) <= MOST_ID:
            return rows.filter(id__gt=int(after))
        raise serializers.ValidationError({"after": ["This is not the end of a page of this list."]})


class LagViewSet(viewsets.GenericViewSet[Any]):
    """How far nodes and files are behind."""

    queryset = Replica.objects.none()
    serializer_class = FileLagSerializer
    lookup_field = "digest"
    lookup_value_regex = "[0-9a-f]{64}"
    pagination_class = None
    filter_backends: list[Any] = []

    def list(self, request: Request) -> Response:  # noqa: ARG002 - the router's signature
        """Each node."""
        return Response({name: LagSerializer(lag).data for name, lag in stats.lag().items()})

    def retrieve(self, request: Request, digest: str) -> Response:  # noqa: ARG002 - the router's signature
        """One file."""
        return Response(FileLagSerializer(stats.of_file(digest)).data)


def register(router: Any, permission_classes: Sequence[type[Any]] = (IsAdminUser,), prefix: str = "mirrors/") -> None:
    """Hang the viewsets into a project's router, under `prefix`, for whom the permissions let in."""
    for name, view in (("nodes", NodeViewSet), ("replicas", ReplicaViewSet), ("lag", LagViewSet)):
        own = type(view.__name__, (view,), {"permission_classes": list(permission_classes), "__doc__": view.__doc__})
        router.register(prefix + name, own, basename=f"balancing-{name}")


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST:
        return int(text)
    raise serializers.ValidationError({"limit": [f"This is a number from 1 to {MOST}."]})


def _filtered(rows: "QuerySet[Replica]", given: dict[str, str]) -> "QuerySet[Replica]":
    if "node" in given and not NAME.fullmatch(given["node"]):
        raise serializers.ValidationError({"node": ["This is not the name of a node."]})
    if "state" in given and given["state"] not in ReplicaState.values:
        raise serializers.ValidationError({"state": [f"There are {', '.join(ReplicaState.values)}."]})
    if "digest" in given and not DIGEST.fullmatch(given["digest"]):
        raise serializers.ValidationError({"digest": ["A digest has 64 lower-case hex digits."]})
    if given.keys() == {"state"}:
        return listing.in_one_state(rows, given["state"])
    names = {"node": "node_id", "state": "state", "digest": "digest"}
    return rows.filter(**{names[key]: value for key, value in given.items()})
