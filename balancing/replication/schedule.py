"""When beat sends which task. Free of models, so that a settings file can import it.

CELERY_BEAT_SCHEDULE |= balancing.replication.schedule.SCHEDULE
"""

from typing import Any

from celery.schedules import crontab

COPY, DELETE, CHECK, REAP, COMPARE, SCRUB, PLAN = (
    f"balancing.{word}" for word in ("copy", "delete", "check", "reap", "compare", "scrub", "plan")
)
HOUR = 3_600

SCHEDULE: dict[str, dict[str, Any]] = {
    # One that waited until the next is due has nothing more to do, and must not pile up while no worker runs.
    "balancing: probe": {"task": "balancing.probe", "schedule": 1.0, "options": {"expires": 2}},
    "balancing: reap": {"task": REAP, "schedule": 5.0, "options": {"expires": 5}},
    "balancing: plan": {"task": PLAN, "schedule": 60.0, "options": {"expires": 60}},
    "balancing: compare": {"task": COMPARE, "schedule": crontab(minute="23"), "options": {"expires": HOUR}},
    "balancing: scrub": {"task": SCRUB, "schedule": crontab(minute="43"), "options": {"expires": HOUR}},
}
