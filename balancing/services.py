"""The only way nodes change: checked, recorded, and shown to every process once the change is committed.

Every function says whether anything changed, so that repeating one is harmless. `state` changes by `drain`, `activate`
and `disable` alone: a form that was opened before a drain must not undo it.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from balancing import picture, snapshot
from balancing.fleet import Admin
from balancing.models import Change, Health, Node
from balancing.signals import changed
from balancing.states import NodeState

FIELDS = (
    "kind",
    "url",
    "public_url",
    "bucket",
    "region",
    "prefix",
    "weight",
    "zone",
    "max_conns",
    "capacity",
    "backup",
)


class ServiceError(Exception):
    """What was asked cannot be done; `code` says why to programs, the message says it to people."""

    code = "refused"


class NodeNotFound(ServiceError):
    """There is no node of this name."""

    code = "node_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no node {name[:40]!r}.")


class NodeExists(ServiceError):
    """There is another node of this name."""

    code = "node_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a node {name!r} already, and it is another one.")


def add(node: Node, actor: str) -> bool:
    """A new node; False where the same one is there. Raises ValidationError, and NodeExists where another one is."""
    node.full_clean(validate_unique=False)
    values = {name: getattr(node, name) for name in FIELDS}
    now = timezone.now()
    node.draining_since = now if node.state == Admin.DRAINING else None
    try:
        with transaction.atomic():
            node.save(force_insert=True)
            # Never up yet: it counts as a place of copies for as long as one that went down now would.
            Health.objects.create(node=node, down_since=now)
            _record(actor, "add", node.name, {}, values | {"state": node.state})
    except IntegrityError:
        old = Node.objects.filter(pk=node.pk).first()
        if old is None:  # removed in the same moment; the caller may try again
            raise
        if {name: getattr(old, name) for name in FIELDS} != values:
            raise NodeExists(node.name) from None
        return False
    return True


def save(node: Node, actor: str) -> bool:
    """Write what differs from the stored node; False where nothing does. Raises ValidationError and NodeNotFound."""
    node.full_clean(validate_unique=False)
    with transaction.atomic():
        old = Node.objects.filter(pk=node.pk).first()
        if old is None:
            raise NodeNotFound(node.pk)
        before = {name: getattr(old, name) for name in FIELDS if getattr(old, name) != getattr(node, name)}
        after = {name: getattr(node, name) for name in before}
        if not after:
            return False
        # Only from what was read: of two changes at once the later sees the earlier, or is refused.
        if not Node.objects.filter(pk=node.pk, **before).update(**after):
            if not Node.objects.filter(pk=node.pk).exists():
                raise NodeNotFound(node.pk)
            raise ValidationError("Somebody else has changed the node in this moment. Look again.")
        _record(actor, "change", node.pk, before, after)
    return True


def remove(node: Node | str, actor: str) -> bool:
    """Forget a node, or one by its name, and its copies; False where there is none. Its disk is left alone."""
    name = node if isinstance(node, str) else node.pk
    with transaction.atomic():
        old = Node.objects.filter(pk=name).first()
        if old is None:
            return False
        before = {name: getattr(old, name) for name in (*FIELDS, "state")}
        old.delete()
        _record(actor, "delete", name, before, {})
    return True


def drain(name: str, actor: str) -> bool:
    """Give the node nothing new; what it serves may end. False where it drains already. Raises NodeNotFound."""
    return _move(name, Admin.DRAINING, actor, "drain")


def activate(name: str, actor: str) -> bool:
    """Offer the node again; one that was disabled has to pass a probe first. Raises NodeNotFound."""
    return _move(name, Admin.ACTIVE, actor, "activate")


def disable(name: str, actor: str) -> bool:
    """Offer the node no more and leave it alone: no downloads, no copies, no probes. Raises NodeNotFound."""
    return _move(name, Admin.DISABLED, actor, "disable")


def _move(name: str, state: Admin, actor: str, action: str) -> bool:
    since = timezone.now() if state is Admin.DRAINING else None
    with transaction.atomic():
        old = Node.objects.filter(pk=name).first()
        if old is None:
            raise NodeNotFound(name)
        moved = Node.objects.filter(pk=name, state=old.state).exclude(state=state.value)
        if not moved.update(state=state.value, draining_since=since):
            return False
        if old.state == Admin.DISABLED:
            _start_anew(name)
        _record(actor, action, name, {"state": old.state}, {"state": state.value})
    return True


def _start_anew(name: str) -> None:
    """What was known of its health when it was disabled is old: probe it at once, as a new node."""
    fresh = {"state": picture.state_to_json(NodeState()), "down_since": timezone.now()}
    row, made = Health.objects.get_or_create(node_id=name, defaults=fresh)
    if not made:
        Health.objects.filter(pk=row.pk).update(**fresh, number=row.number + 1)


def _record(actor: str, action: str, target: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    Change.objects.create(actor=actor[:150], action=action, target=target, before=before, after=after)
    changed.send(sender=Node, actor=actor, action=action, target=target, before=before, after=after)
    snapshot.bump()
    transaction.on_commit(snapshot.publish)
