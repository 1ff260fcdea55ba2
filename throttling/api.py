"""REST: how one stands, for everybody; plans, assignments, exemptions, bans and changes, for administrators.

A project mounts them: `path("usage/", UsageView.as_view())` and `register(router)`.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError as Invalid
from django.utils import timezone
from django.utils.module_loading import import_string
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling import callers, conf, services, usage
from throttling.models import SLUG, Assignment, Ban, Change, Exemption, Limit, Plan

MOST_NAME = 50
LONGEST_BAN = timedelta(days=36_500)


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


class StandingSerializer(serializers.Serializer[Any]):
    """How somebody stands."""

    limits = UsageSerializer(many=True)


class UsageView(APIView):
    """The caller's own limits. Asking is never limited."""

    permission_classes = [IsAuthenticated]
    throttle_classes = []
    serializer_class = StandingSerializer

    def get(self, request: Request) -> Response:
        """Every limit in every scope."""
        return standing(usage.of_caller(callers.caller_for(request)))


def standing(rows: Iterable[usage.Usage]) -> Response:
    """The answer that says how somebody stands."""
    return Response(StandingSerializer({"limits": [asdict(row) for row in rows]}).data)


class PlanField(serializers.SlugRelatedField[Plan]):
    """A plan by its name. What can be no name is looked up nowhere: databases differ in what they say to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(slug_field="name", queryset=Plan.objects.all(), **options)

    def to_internal_value(self, data: Any) -> Plan:
        """The plan. Raises ValidationError."""
        try:
            SLUG(data if isinstance(data, str) and len(data) <= MOST_NAME else None)
        except Invalid:
            raise serializers.ValidationError("This is not the name of a plan.") from None
        return super().to_internal_value(data)


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
            services.save(row, actor=callers.actor_for(self.context["request"]))
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

    plan = PlanField()

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

    plan = PlanField()

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

    def validate_until(self, moment: datetime) -> datetime:
        """A ban that is over stops nobody. Raises ValidationError."""
        if moment <= timezone.now():
            raise serializers.ValidationError("The end of a ban lies ahead; a ban is ended by lifting it.")
        if moment > timezone.now() + LONGEST_BAN:
            raise serializers.ValidationError("A ban ends within a hundred years.")
        return moment


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """A change."""

    class Meta:
        model = Change
        fields = ["id", "at", "actor", "action", "target", "before", "after"]


class ForAdministrators(viewsets.GenericViewSet[Any]):
    """For whom `THROTTLING["ADMIN_PERMISSION"]` lets in. Filters are for the project's filter backends, if any."""

    what = "limits"
    ordering = ["-id"]

    def get_permissions(self) -> list[BasePermission]:
        """The setting's."""
        return [import_string(conf.get().admin_permission)()]


class RecordedViewSet(viewsets.ModelViewSet[Any], ForAdministrators):
    """Writes are recorded."""

    def perform_destroy(self, instance: Any) -> None:
        """Through `services`."""
        services.remove(instance, actor=callers.actor_for(self.request))


class PlanViewSet(RecordedViewSet):
    """Plans."""

    queryset = Plan.objects.all()
    serializer_class = PlanSerializer
    filterset_fields = ["name"]
    search_fields = ["name", "description"]
    ordering_fields = ["name", "id"]
    ordering = ["name"]


class LimitViewSet(RecordedViewSet):
    """Limits."""

    queryset = Limit.objects.select_related("plan")
    serializer_class = LimitSerializer
    filterset_fields = ["plan__name", "name", "mode", "per"]
    search_fields = ["name", "rate"]
    ordering_fields = ["id"]
    ordering = ["id"]


class AssignmentViewSet(RecordedViewSet):
    """Assignments, with usage and a fresh start."""

    queryset = Assignment.objects.select_related("plan")
    serializer_class = AssignmentSerializer
    filterset_fields = ["plan__name", "subject"]
    search_fields = ["subject", "note"]
    ordering_fields = ["id"]
    ordering = ["id"]

    @action(detail=True, methods=["get"])
    def usage(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """How the subject's own buckets stand."""
        row = self.get_object()
        return standing(usage.of_assignment(row.subject, row.plan.name))

    @action(detail=True, methods=["post"])
    def reset(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """Forget what the subject has used."""
        return Response({"cleared": services.reset(self.get_object().subject, actor=callers.actor_for(request))})


class ExemptionViewSet(RecordedViewSet):
    """The allow list."""

    queryset = Exemption.objects.all()
    serializer_class = ExemptionSerializer
    filterset_fields = ["subject"]
    search_fields = ["subject", "note"]
    ordering_fields = ["subject", "id"]
    ordering = ["subject"]


class BanViewSet(RecordedViewSet):
    """Bans, and lifting them."""

    queryset = Ban.objects.all()
    serializer_class = BanSerializer
    filterset_fields = ["subject", "automatic"]
    search_fields = ["subject", "reason"]
    ordering_fields = ["id"]
    ordering = ["-id"]

    @action(detail=True, methods=["post"])
    def lift(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the router's signature
        """End every ban of the subject."""
        services.lift(self.get_object().subject, actor=callers.actor_for(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class ChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ForAdministrators):
    """What changed, newest first."""

    filterset_fields = ["actor", "action", "target"]
    search_fields = ["actor", "target"]
    ordering_fields = ["id"]
    queryset = Change.objects.all()
    serializer_class = ChangeSerializer


def register(router: Any) -> None:
    """Hang the viewsets into a project's router, under `limits/`, for whom `ADMIN_PERMISSION` lets in."""
    for name, view in (
        ("plans", PlanViewSet),
        ("limits", LimitViewSet),
        ("assignments", AssignmentViewSet),
        ("exemptions", ExemptionViewSet),
        ("bans", BanViewSet),
        ("changes", ChangeViewSet),
    ):
        router.register(f"limits/{name}", view, basename=f"throttling-{name}")
