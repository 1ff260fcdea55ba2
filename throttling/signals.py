"""Signals for a project that audits or measures."""

from django.dispatch import Signal

# sender: the model; actor, action, target, before, after: as in `throttling.models.Change`, in the same transaction.
changed = Signal()
# sender: None; caller, decision. Sent when a request is refused, also by a ban.
refused = Signal()
# sender: None; decision. Sent before a request is held back for `decision.delay_us`.
delayed = Signal()
# sender: None; caller, decision. Sent when a limit in shadow mode would have refused.
would_refuse = Signal()
# sender: None; subject, reason, seconds. Sent once per ban.
banned = Signal()
