"""`/livez` and `/readyz`: whether the process answers, and whether everything it needs does."""

import tempfile
import uuid
from pathlib import Path

from django.core.files.base import ContentFile
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection

from pkgindex import answers, heartbeat
from pkgindex.blobs.files import free_bytes
from pkgindex.blobs.store import DurableFileStorage, storage
from pkgindex.errors import InvalidRequest
from pkgindex.probes import Down, Probe, Report, look_at
from throttling import store as limiter

UP, DEGRADED, DOWN = "up", "degraded", "down"
ANSWER_SECONDS = 2.0
KEEP_SECONDS = 1.0
KEEP_BLOBS_SECONDS = 5.0  # each look writes a file
FREE_BYTES = 256 << 20  # below this an upload of ordinary size may fail half-way
REDIS_KEY, REDIS_KEY_SECONDS = "health:write", 10


@require_safe
def livez(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """200 as long as the process can answer at all; it looks at nothing, so a lost database restarts nobody."""
    return HttpResponse("alive\n", content_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Every part with its state; 503 where a needed one is down. `?exclude=NAME` leaves one out, as in Kubernetes.

    A part that the service goes on without is shown as degraded. So the limiter's store makes no host unready: it is
    away from all of them at once, and a load balancer that then took out every host would end the service for a fault
    that reading survives.
    """
    excluded = set(request.GET.getlist("exclude"))
    unknown = sorted(excluded - PROBES.keys())
    if unknown:
        return answers.problem(InvalidRequest(f"There is no part '{unknown[0][:50]}'; parts are {', '.join(PROBES)}."))
    reports = look_at([probe for name, probe in PROBES.items() if name not in excluded], ANSWER_SECONDS)
    words = {name: _word(report, needed=PROBES[name].needed) for name, report in reports.items()}
    parts = {
        name: {"status": words[name], "latency_ms": report.latency_ms, "sentence": report.sentence}
        for name, report in reports.items()
    }
    worst = next((word for word in (DOWN, DEGRADED) if word in words.values()), UP)
    response = JsonResponse({"status": worst, "parts": parts}, status=503 if worst == DOWN else 200)
    response["Cache-Control"] = "no-store"
    return response


def check_database() -> str:
    """The database answers and has the tables that this version expects."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()  # it belongs to this look's thread, which ends now
    if missing:
        raise Down(f"{len(missing)} migrations are not applied: run `manage.py migrate`.")
    return "It answers and every migration is applied."


def check_redis() -> str:
    """Redis answers and takes a write; one that is full, or a replica, answers and takes none."""
    redis = get_redis_connection("default", write=True)
    redis.set(REDIS_KEY, "1", ex=REDIS_KEY_SECONDS)
    return "It answers and takes writes."


def check_blobs() -> str:
    """The storage of files takes a write, and has room where it is a local folder."""
    kept = storage()
    if not isinstance(kept, DurableFileStorage):
        kept.delete(kept.save(f"health/{uuid.uuid4().hex}", ContentFile(b"health")))
        return "It takes writes."
    kept.temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=kept.temporary) as file:
        file.write(b"health")
        file.flush()
    free = free_bytes(Path(kept.location))
    if free < FREE_BYTES:
        raise Down(f"Only {free >> 20} MiB are free, fewer than {FREE_BYTES >> 20}.")
    return f"It takes writes and has {free >> 20} MiB free."


def check_beat() -> str:
    """Beat has sent its heartbeat lately."""
    age = heartbeat.age_of(heartbeat.BEAT)
    if age is None:
        raise Down(f"Beat has sent nothing for {heartbeat.ALIVE_SECONDS} s.")
    return f"It sent its heartbeat {age:.0f} s ago."


def check_worker() -> str:
    """A worker has run beat's heartbeat lately."""
    age = heartbeat.age_of(heartbeat.WORKER)
    if age is not None:
        return f"One ran the heartbeat {age:.0f} s ago."
    if heartbeat.age_of(heartbeat.BEAT) is None:
        raise Down("Whether one works cannot be told, since beat sends nothing for it to do.")
    raise Down(f"None has run beat's heartbeat for {heartbeat.ALIVE_SECONDS} s.")


def check_limits() -> str:
    """The store of the limits answers; asking it also ends an outage that is over.

    The driver's reason can hold addresses: it is for the log alone.
    """
    limiter.get().read_version()
    status = limiter.status()
    if status["state"] == "memory":
        return "This process counts in its own memory."
    if status["state"] != "closed":
        why = "does not answer in time" if "imeout" in status["reason"] else "cannot be used; the log says why"
        share = "each process admits its share of every limit, and guards refuse"
        raise Down(f"Their store {why}, since {status['seconds']:.0f} s; {share}.")
    return "Their store answers."


def _word(report: Report, *, needed: bool) -> str:
    if report.is_up:
        return UP
    return DOWN if needed else DEGRADED


PROBES = {
    probe.name: probe
    for probe in (
        Probe("database", check_database, KEEP_SECONDS),
        Probe("redis", check_redis, KEEP_SECONDS),
        Probe("blobs", check_blobs, KEEP_BLOBS_SECONDS),
        Probe("worker", check_worker, KEEP_SECONDS),
        Probe("beat", check_beat, KEEP_SECONDS),
        Probe("limits", check_limits, KEEP_SECONDS, needed=False),
    )
}
