"""REST: how one stands, for everybody; plans, assignments, exemptions, bans and changes, for administrators.

A project mounts them: `path("usage/", UsageView.as_view())` and `register(router)`.
"""

from dataclasses import asdict
from typing import Any

from django.core.exceptions import ValidationError as Invalid
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling import callers, services, usage
from throttling.models import Assignment, Ban, Change, Exemption, Limit, Plan


class UsageSerializer(serializers.Serializer[Any]):
    """One limit and how it stands; times in seconds."""

    name = serializers.CharField()
    subject = serializers.CharField()
    rate = serializers.CharField()
    unit = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    mode = serializers.CharField()
    quota = serializers.IntegerField()
    used = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_in = serializers.IntegerField(allow_null=True)
    used_up_in = serializers.IntegerField(allow_null=True)


class UsageView(APIView):
    """The caller's own limits. Asking is never limited."""

    permission_classes = [IsAuthenticated]
    throttle_classes = []
    serializer_class = UsageSerializer

    def get(self, request: Request) -> Response:
        """Every limit in every scope."""
        rows = [asdict(row) for row in usage.of_caller(callers.caller_for(request))]
        return Response({"limits": UsageSerializer(rows, many=True).data})


class Recorded(serializers.ModelSerializer[Any]):
    """Writes through `services`, with the model's own checks."""

    def create(self, validated_data: dict[str, Any]) -> Any:
        """A new row."""
        model: Any = self.Meta.model
        return self._save(model(**validated_data))

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        """A changed row."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return self._save(instance)

    def _save(self, row: Any) -> Any:
        try:
            services.save(row, actor=str(self.context["request"].user))
        except Invalid as error:
            faults = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
            raise serializers.ValidationError(faults) from None
        return row


class PlanSerializer(Recorded):
    """A plan."""

    class Meta:
        model = Plan
        fields = ["id", "name", "description"]


class LimitSerializer(Recorded):
    """A limit of a plan."""

    plan = serializers.SlugRelatedField(slug_field="name", queryset=Plan.objects.all())

    class Meta:
        model = Limit
        fields = [
            "id",
            "plan",
            "name",
            "rate",
            "scopes",
            "per",
            "mode",
            "ban_seconds",
            "extend",
            "per_resource",
            "closed",
        ]


class AssignmentSerializer(Recorded):
    """A plan's subject."""

    plan = serializers.SlugRelatedField(slug_field="name", queryset=Plan.objects.all())

    class Meta:
        model = Assignment
        fields = ["id", "subject", "plan", "order", "note"]


class ExemptionSerializer(Recorded):
    """An entry of the allow list."""

    class Meta:
        model = Exemption
        fields = ["id", "subject", "note", "scopes", "expires_at"]


class BanSerializer(Recorded):
    """A ban."""

    in_force = serializers.BooleanField(read_only=True)

    class Meta:
        model = Ban
        fields = ["id", "subject", "reason", "began_at", "until", "automatic", "lifted_at", "lifted_by", "in_force"]
        read_only_fields = ["began_at", "automatic", "lifted_at", "lifted_by"]


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """A change."""

    class Meta:
        model = Change
        fields = ["id", "at", "actor", "action", "target", "before", "after"]


class RecordedViewSet(viewsets.ModelViewSet[Any]):
    """For administrators; writes are recorded."""

    permission_classes = [IsAdminUser]

    def perform_destroy(self, instance: Any) -> None:
        """Through `services`."""
        services.remove(instance, actor=str(self.request.user))


class PlanViewSet(RecordedViewSet):
    """Plans."""

    queryset = Plan.objects.all()
    serializer_class = PlanSerializer


class LimitViewSet(RecordedViewSet):
    """Limits."""

    queryset = Limit.objects.select_related("plan")
    serializer_class = LimitSerializer


class AssignmentViewSet(RecordedViewSet):
    """Assignments, with usage and a fresh start."""

    queryset = Assignment.objects.select_related("plan")
    serializer_class = AssignmentSerializer

    @action(detail=True, methods=["get"])
    def usage(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """How the subject's own buckets stand."""
        row = self.get_object()
        return Response({"limits": [asdict(line) for line in usage.of_assignment(row.subject, row.plan.name)]})

    @action(detail=True, methods=["post"])
    def reset(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """Forget what the subject has used."""
        return Response({"cleared": services.reset(self.get_object().subject, actor=str(request.user))})


class ExemptionViewSet(RecordedViewSet):
    """The allow list."""

    queryset = Exemption.objects.all()
    serializer_class = ExemptionSerializer


class BanViewSet(RecordedViewSet):
    """Bans, and lifting them."""

    queryset = Ban.objects.all()
    serializer_class = BanSerializer

    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """End every ban of the subject."""
        services.lift(self.get_object().subject, actor=str(request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Change]):
    """What changed."""

    permission_classes = [IsAdminUser]
    queryset = Change.objects.all()
    serializer_class = ChangeSerializer


def register(router: Any) -> None:
    """Hang the viewsets into a project's router, under `limits/`."""
    for name, view in (
        ("plans", PlanViewSet),
        ("limits", LimitViewSet),
        ("assignments", AssignmentViewSet),
        ("exemptions", ExemptionViewSet),
        ("bans", BanViewSet),
        ("changes", ChangeViewSet),
    ):
        router.register(f"limits/{name}", view, basename=f"throttling-{name}")
