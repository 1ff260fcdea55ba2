"""What the OpenAPI document says of the views of `throttling`, which knows no generator; found by being imported."""

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers

from throttling.api import StandingSerializer

Cleared = inline_serializer("Cleared", {"cleared": serializers.IntegerField(help_text="How many counters there were.")})


class AssignmentsExtension(OpenApiViewExtension):
    """The actions of an assignment."""

    target_class = "throttling.api.AssignmentViewSet"

    def view_replacement(self) -> Any:
        """Usage and reset have answers of their own."""
        usage = extend_schema(responses=StandingSerializer)
        reset = extend_schema(request=None, responses=Cleared)

        @extend_schema_view(usage=usage, reset=reset)
        class Described(self.target_class):  # type: ignore[name-defined]  # resolved by drf-spectacular
            pass

        return Described


class BansExtension(OpenApiViewExtension):
    """The action of a ban."""

    target_class = "throttling.api.BanViewSet"

    def view_replacement(self) -> Any:
        """Lifting takes and gives nothing."""

        @extend_schema_view(lift=extend_schema(request=None, responses={204: None}))
        class Described(self.target_class):  # type: ignore[name-defined]  # resolved by drf-spectacular
            pass

        return Described
