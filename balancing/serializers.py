"""What nodes, copies and lag look like in REST."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError as Invalid
from rest_framework import serializers

from balancing import services, snapshot, stats
from balancing import status as words
from balancing.models import Node, Probe, Replica


def actor_of(request: Any) -> str:
    """Under which name a change is recorded."""
    return str(request.user.get_username())


class HealthSerializer(serializers.Serializer[Any]):
    """A node's health. Times are seconds since 1970, sizes bytes."""

    words = serializers.CharField(help_text="In words.")
    up = serializers.BooleanField(help_text="What probes say.")
    ejected_until = serializers.FloatField(allow_null=True)
    down_since = serializers.FloatField(allow_null=True)
    failing = serializers.FloatField(help_text="Evidence against it as a share of what ejects it.")
    in_flight = serializers.IntegerField()
    latency = serializers.FloatField(help_text="Seconds of a probe.")
    free = serializers.IntegerField(allow_null=True)
    used = serializers.IntegerField(help_text="Bytes of copies; counted where the node has a capacity.")
    last_error = serializers.CharField()
    last_error_at = serializers.DateTimeField(allow_null=True)


class ServedSerializer(serializers.Serializer[Any]):
    """What a node served in the last hour."""

    downloads = serializers.IntegerField()
    bytes = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of all downloads from nodes, from 0 to 1.")


class LagSerializer(serializers.Serializer[Any]):
    """How far a node is behind, by the state of its copies."""

    copies = serializers.DictField(child=serializers.IntegerField())
    bytes = serializers.DictField(child=serializers.IntegerField())
    total = serializers.IntegerField()
    oldest = serializers.FloatField(allow_null=True, help_text="For how many seconds the oldest new copy waits.")


class FileLagSerializer(serializers.Serializer[Any]):
    """How far a file is."""

    digest = serializers.CharField()
    copies = serializers.DictField(child=serializers.CharField(), help_text="The state by node.")
    wanted = serializers.IntegerField()
    verified = serializers.IntegerField()
    oldest = serializers.FloatField(allow_null=True, help_text="For how many seconds a missing copy waits at most.")


class ProbeSerializer(serializers.ModelSerializer[Probe]):
    """One probe."""

    class Meta:
        model = Probe
        fields = ["at", "passed", "seconds", "detail"]


class ReplicaSerializer(serializers.ModelSerializer[Replica]):
    """A copy."""

    node = serializers.CharField(source="node_id")

    class Meta:
        model = Replica
        fields = ["id", "digest", "node", "size", "state", "sent", "attempts", "last_error", "created_at"]
        extra_kwargs = {"created_at": {"read_only": True}}

    def get_fields(self) -> dict[str, Any]:
        """With the times of its checks."""
        return super().get_fields() | {
            "verified_at": serializers.DateTimeField(allow_null=True),
            "scrubbed_at": serializers.DateTimeField(allow_null=True),
        }


class NodeSerializer(serializers.ModelSerializer[Node]):
    """A node. Its state is changed by the actions `drain`, `activate` and `disable`."""

    health = serializers.SerializerMethodField()
    served = serializers.SerializerMethodField()
    lag = serializers.SerializerMethodField()

    class Meta:
        model = Node
        fields = ["name", *services.FIELDS, "state", "draining_since", "created_at", "health", "served", "lag"]
        read_only_fields = ["state", "draining_since", "created_at"]

    def validate_name(self, name: str) -> str:
        """It never changes. Raises ValidationError."""
        if self.instance is not None and name != self.instance.pk:
            raise serializers.ValidationError("A node's name never changes: signatures and copies go by it.")
        return name

    def get_health(self, row: Node) -> dict[str, Any]:
        """How it is."""
        seen, health = snapshot.view_now(row), getattr(row, "health", None)
        return HealthSerializer(
            {
                "words": words.words(seen),
                "up": seen.state.up,
                "ejected_until": seen.state.ejected_until,
                "down_since": seen.down_since,
                "failing": seen.failing,
                "in_flight": seen.in_flight,
                "latency": seen.latency,
                "free": seen.free,
                "used": seen.used,
                "last_error": health.last_error if health else "",
                "last_error_at": health.last_error_at if health else None,
            }
        ).data

    def get_served(self, row: Node) -> dict[str, Any]:
        """Its part of the traffic."""
        held = self.context.get("served")
        return ServedSerializer((stats.served() if held is None else held).get(row.pk, stats.Served())).data

    def get_lag(self, row: Node) -> dict[str, Any]:
        """What it is behind by."""
        held = self.context.get("lag")
        return LagSerializer((stats.lag([row.pk]) if held is None else held).get(row.pk, stats.Lag())).data

    def create(self, validated_data: dict[str, Any]) -> Node:
        """A new node."""
        return self._store(services.add, Node(**validated_data))

    def update(self, instance: Node, validated_data: dict[str, Any]) -> Node:
        """A changed node."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return self._store(services.save, instance)

    def _store(self, work: Callable[[Node, str], bool], row: Node) -> Node:
        try:
            work(row, actor_of(self.context["request"]))
        except Invalid as error:
            faults = error.message_dict if hasattr(error, "error_dict") else {"non_field_errors": error.messages}
            raise serializers.ValidationError(faults) from None
        except services.ServiceError as error:
            raise serializers.ValidationError({"name": [str(error)]}) from None
        return row
