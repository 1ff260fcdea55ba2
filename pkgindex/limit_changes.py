"""The adapter that joins changes of limits to the audit trail: who made them, and a row for each."""

from typing import Any

from django.db.models import Model
from rest_framework.request import Request

from pkgindex.accounts.audited import admin_actor
from pkgindex.accounts.rest import actor_from
from pkgindex.audit.record import Actor, record
from throttling import signals

VERBS = {"add": "create", "ban": "begin"}  # of limits -> of the audit trail; others are the same


class Signed(str):
    """The name of who changes limits, as their own record shows it; it carries who that is for the audit trail."""

    __slots__ = ("actor",)
    actor: Actor

    @classmethod
    def by(cls, actor: Actor) -> "Signed":
        """The actor's label, with the actor."""
        made = cls(actor.label)
        made.actor = actor
        return made


def actor_of(request: Any) -> Signed:
    """Who changes limits over REST or in the admin; named in `THROTTLING["ACTOR"]`."""
    return Signed.by(actor_from(request) if isinstance(request, Request) else admin_actor(request))


def connect() -> None:
    """Begin to audit: called once, when the apps are ready."""
    signals.changed.connect(_note, dispatch_uid="pkgindex.limit_changes")


def _note(*, sender: type[Model], actor: str, action: str, target: str, before: Any, after: Any, **_: Any) -> None:
    kind = "usage" if action == "reset" else str(sender._meta.model_name)  # noqa: SLF001 - public by its documentation
    who = actor.actor if isinstance(actor, Signed) else Actor(None, str(actor))
    verb = VERBS.get(action, action)
    record(who, f"{verb} {kind}", kind, target.removeprefix(f"{kind} "), before=before, after=after)
