"""The only way an audit row comes to be."""

from dataclasses import dataclass
from typing import Any

from pkgindex.audit.models import AuditEntry
from pkgindex.prepared import Insert, Statement, run

_add = Insert(AuditEntry)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user through a token, a password or the admin, or a command of the operator."""

    user_id: int | None
    label: str
    ip: str | None = None


SYSTEM = Actor(user_id=None, label="system")


def record(actor: Actor, action: str, target_type: str, target: str, **detail: Any) -> None:
    """Write one row in the caller's transaction, so that an act and its record stand or fall together."""
    run([recording(actor, action, target_type, target, **detail)])


def recording(actor: Actor, action: str, target_type: str, target: str, **detail: Any) -> Statement:
    """What `record` sends, for those who send it together with the act."""
    return _add.statement(
        actor_id=actor.user_id,
        actor_label=actor.label[:200],
        ip=actor.ip,
        action=action,
        target_type=target_type,
        target=target[:400],
        detail=detail,
    )
