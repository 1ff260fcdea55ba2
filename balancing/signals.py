"""What other apps may listen to."""

from django.dispatch import Signal

changed = Signal()  # actor, action, target, before, after: a node was changed by somebody
health_changed = Signal()  # node, before, after: up, down, ejected
repeated = Signal()  # node, digest: a client asks for a file again right after it was sent to the node for it
