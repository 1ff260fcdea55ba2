"""Nodes, their health, the copies they hold, and who changed what.

Nodes are written through `balancing.services`, health through `balancing.health`, copies through
`balancing.replication`; each write is a conditional update.
"""

from math import isfinite
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from balancing.fleet import Admin

NAME = RegexValidator(r"\A[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z", "Lower-case letters, digits and dashes, at most 40.")


def validate_url(text: str) -> None:
    """Raise ValidationError where the text is not an address of a node: http or https, a host, perhaps a path."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    # What stands before an @ would be shown in lists; the rest would end up in the middle of signed URLs.
    if not fine or "@" in parts.netloc or parts.query or parts.fragment or not text.isprintable() or " " in text:
        raise ValidationError("An address begins with http:// or https:// and a host, without user, query or fragment.")


class Kind(models.TextChoices):
    """What a node is."""

    SERVER = "server", "mirror node"
    BUCKET = "bucket", "S3 bucket"


class Node(models.Model):
    """A place for copies. `name` is its id in URLs, signatures and policies, and never changes."""

    name = models.CharField(max_length=40, primary_key=True, validators=[NAME])
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SERVER)
    url = models.CharField(
        max_length=300,
        validators=[validate_url],
        help_text="Where we reach it: the node server, or the endpoint of the S3 service.",
    )
    public_url = models.CharField(
        max_length=300,
        blank=True,
        validators=[validate_url],
        help_text="Where clients reach it, if that is another address.",
    )
    bucket = models.CharField(max_length=63, blank=True, help_text="For buckets: its name.")
    region = models.CharField(max_length=40, blank=True, help_text="For buckets.")
    prefix = models.CharField(max_length=100, blank=True, help_text="For buckets: the start of every key.")
    weight = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1_000.0)],
        help_text="Its share of downloads and copies beside the others'; 0: none.",
    )
    zone = models.CharField(max_length=40, blank=True)
    max_conns = models.PositiveIntegerField(
        default=0, validators=[MaxValueValidator(1_000_000)], help_text="Downloads at once; 0: no limit."
    )
    capacity = models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Bytes it may hold; empty: all of its disk.",
    )
    backup = models.BooleanField(default=False, help_text="Serves only when the others are too few.")
    state = models.CharField(
        max_length=10, choices=[(item.value, item.value) for item in Admin], default=Admin.ACTIVE.value
    )
    draining_since = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse a bucket without a name, a server with one, and a weight that is no number."""
        if isinstance(self.weight, float) and not isfinite(self.weight):
            raise ValidationError({"weight": "The weight must be a number."})
        if (self.kind == Kind.BUCKET) != bool(self.bucket):
            raise ValidationError({"bucket": "A bucket has a name, and nothing else has."})


class Health(models.Model):
    """What is known of a node's health: `balancing.states.NodeState` as JSON, times in seconds since 1970.

    `number` counts the writes: a writer changes the row only where it still is the one that was read.
    """

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="health")
    state = models.JSONField(default=dict)
    number = models.BigIntegerField(default=0)
    free = models.BigIntegerField(null=True, help_text="Bytes, as the last probe heard.")
    used = models.BigIntegerField(default=0, help_text="Bytes of its copies; counted where it has a capacity.")
    load = models.FloatField(default=0.0)
    in_flight = models.IntegerField(default=0)
    latency = models.FloatField(default=0.0, help_text="Seconds; peak-sensitive average of probes.")
    down_since = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    last_error_at = models.DateTimeField(null=True)


class Revision(models.Model):
    """One row: how often nodes or their health have changed. Orders the pictures of them."""

    number = models.BigIntegerField(default=0)


class Probe(models.Model):
    """One active probe."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="probes")
    at = models.DateTimeField(db_index=True)
    passed = models.BooleanField()
    seconds = models.FloatField()
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]


class ReplicaState(models.TextChoices):
    """The life of a copy."""

    PENDING = "pending"  # wanted, not there yet
    COPYING = "copying"  # somebody holds the lease
    VERIFIED = "verified"  # the only state in which it is offered
    CORRUPT = "corrupt"  # found damaged; to be copied anew
    FAILED = "failed"  # attempts used up
    DELETING = "deleting"  # a tombstone: must go, also from a node that is away now
    DELETED = "deleted"


class Replica(models.Model):
    """A copy of a file on a node, wanted or there."""

    digest = models.CharField(max_length=64)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="replicas")
    size = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=ReplicaState.choices, default=ReplicaState.PENDING)
    lease = models.CharField(max_length=32, blank=True, help_text="The name of the transfer that holds it.")
    lease_until = models.DateTimeField(null=True, help_text="Nobody else may touch the copy before.")
    sent = models.BigIntegerField(default=0, help_text="Bytes of the transfer under way.")
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(help_text="When a task is to be sent for it.")
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    verified_at = models.DateTimeField(null=True)
    scrubbed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(name="balancing_replica_once", fields=["digest", "node"])]
        indexes = [
            # Rows that wait for work are few among a million that are done.
            models.Index(
                name="balancing_replica_due",
                fields=["due_at"],
                condition=Q(state__in=["pending", "corrupt", "deleting"]),
            ),
            models.Index(name="balancing_replica_lease", fields=["lease_until"], condition=Q(state="copying")),
            models.Index(name="balancing_replica_node", fields=["node", "state", "digest", "size"]),
            # Across all nodes, by id: what has failed, what waits. Partial, and so used only where a query repeats the
            # condition: SQLite, which keeps no statistics, would take it for queries by digest and state too.
            models.Index(
                name="balancing_replica_state",
                fields=["state", "id"],
                condition=Q(state__in=["pending", "copying", "corrupt", "failed", "deleting", "deleted"]),
            ),
            models.Index(
                name="balancing_replica_waiting",
                fields=["node", "created_at"],
                condition=Q(state__in=["pending", "copying"], verified_at__isnull=True),
            ),
            models.Index(name="balancing_replica_scrub", fields=["node", "scrubbed_at"], condition=Q(state="verified")),
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} on {self.node_id}"


class Walk(models.Model):
    """A walk through all files that goes on where it stopped."""

    name = models.CharField(max_length=20, primary_key=True)
    after = models.CharField(max_length=64, blank=True, help_text="The last digest that is done.")
    signature = models.CharField(max_length=64, blank=True, help_text="The nodes that it was begun with.")
    finished_at = models.DateTimeField(null=True)


class Manifest(models.Model):
    """The SHA-256 of each block of a file, one after the other; see `balancing.manifests`."""

    digest = models.CharField(max_length=64, primary_key=True)
    hashes = models.BinaryField()


class Change(models.Model):
    """Who changed which node, and how."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=20)
    target = models.CharField(max_length=100)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
