"""What the audit trail keeps of changes of limits, whoever made them."""

import pytest
from django.core.management import call_command

from pkgindex.audit.models import AuditEntry
from throttling import plans, services, take
from throttling.models import Assignment, Limit, Plan
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)


def test_changes_over_rest_are_audited(call, admin_user):
    """The user, the token, the address, before and after."""
    call("POST", "limits/plans/", {"name": "ci"})
    call("POST", "limits/limits/", {"plan": "ci", "name": "a", "rate": "5/hour"})
    limit = Limit.objects.get()
    call("PATCH", f"limits/limits/{limit.pk}/", {"rate": "6/hour"})
    call("DELETE", f"limits/limits/{limit.pk}/")

    entries = list(AuditEntry.objects.filter(target_type__in=["plan", "limit"]).order_by("id"))
    assert [entry.action for entry in entries] == ["create plan", "create limit", "change limit", "delete limit"]
    assert {entry.actor for entry in entries} == {admin_user}
    assert {entry.ip for entry in entries} == {"127.0.0.1"}
    assert "token" in entries[0].actor_label
    changed = entries[2]
    assert (changed.target, changed.detail["before"]["rate"], changed.detail["after"]["rate"]) == (
        "ci/a",
        "5/hour",
        "6/hour",
    )


def test_changes_by_others_are_audited(team, capsys):
    """A command, a reset, a lifted ban and a ban that a limit began."""
    services.save(Assignment(plan=team, subject="anon"), actor="test")
    Limit.objects.update(ban_seconds=60)
    plans.reset()
    AuditEntry.objects.all().delete()
    eve = Caller(address="192.0.2.66")
    for _ in range(3):
        take.take(eve, "index")
    call_command("limits", "lift", "addr:192.0.2.66")
    call_command("limits", "clear", "user:5")

    found = list(AuditEntry.objects.order_by("id").values_list("action", "target_type", "actor"))
    assert found == [("begin ban", "ban", None), ("lift ban", "ban", None), ("reset usage", "usage", None)]
    labels = list(AuditEntry.objects.order_by("id").values_list("actor_label", flat=True))
    assert labels[0] == "limits"
    assert all("command" in label for label in labels[1:])


def test_an_act_and_its_audit_stand_or_fall_together(call, monkeypatch):
    """Where the audit cannot be written nothing changes."""
    from pkgindex import limit_changes

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(limit_changes, "record", fail)
    with pytest.raises(RuntimeError):
        call("POST", "limits/plans/", {"name": "ci"})
    assert not Plan.objects.exists()
