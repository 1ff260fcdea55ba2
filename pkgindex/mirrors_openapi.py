"""What the OpenAPI document says of the views of `balancing`, which knows no generator; found by being imported."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    OpenApiTypes,
    extend_schema,
    extend_schema_view,
    inline_serializer,
)
from rest_framework import serializers

from balancing.models import ReplicaState
from balancing.serializers import FileLagSerializer, NodeSerializer, ProbeSerializer, ReplicaSerializer

Accepted = inline_serializer("Accepted", {"accepted": serializers.BooleanField()})
Copies = inline_serializer(
    "Copies",
    {
        "results": ReplicaSerializer(many=True),
        "next": serializers.CharField(allow_null=True, help_text="The `after` of the next page."),
    },
)
FILTERS = [
    OpenApiParameter("node", description="A node's name."),
    OpenApiParameter("state", enum=list(ReplicaState.values)),
    OpenApiParameter("digest", description="SHA-256 in hex."),
    OpenApiParameter("limit", OpenApiTypes.INT, description="1 to 1,000; 100 if not given."),
    OpenApiParameter("after", description="What `next` of the page before says."),
]


class NodesExtension(OpenApiViewExtension):
    """The actions of a node."""

    target_class = "balancing.api.NodeViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """States answer with the node; background work is accepted, or refused while the broker is away."""
        moved = extend_schema(request=None, responses=NodeSerializer)
        asked = extend_schema(request=None, responses={202: Accepted, 503: Accepted})
        probes = extend_schema(responses=ProbeSerializer(many=True))

        @extend_schema_view(drain=moved, activate=moved, disable=moved, sync=asked, verify=asked, probes=probes)
        class Described(self.target_class):  # type: ignore[name-defined]  # resolved by drf-spectacular
            pass

        return Described


class CopiesExtension(OpenApiViewExtension):
    """The list of copies."""

    target_class = "balancing.api.ReplicaViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """Pages of its own kind."""

        @extend_schema_view(list=extend_schema(parameters=FILTERS, responses=Copies))
        class Described(self.target_class):  # type: ignore[name-defined]  # resolved by drf-spectacular
            pass

        return Described


class LagExtension(OpenApiViewExtension):
    """How far nodes and files are behind."""

    target_class = "balancing.api.LagViewSet"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """An object by node, and one file."""
        nodes = OpenApiResponse(OpenApiTypes.OBJECT, "By node: copies and bytes by state, total, oldest in seconds.")

        @extend_schema_view(list=extend_schema(responses=nodes), retrieve=extend_schema(responses=FileLagSerializer))
        class Described(self.target_class):  # type: ignore[name-defined]  # resolved by drf-spectacular
            pass

        return Described
