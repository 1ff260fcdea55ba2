"""`/metrics` for Prometheus: requests, decisions of the limits, bytes. Labels are words of ours, never of a caller's.

Under gunicorn each worker counts into files of its own and whoever is asked adds them up; a single process counts in
memory. A request costs two or three additions and nothing of Redis or SQL; what a worker answers in its loop is added
once a second (`pkgindex.tally`).
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from time import perf_counter
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from pkgindex import answers, throttles
from pkgindex.accounts.identity import identify
from pkgindex.accounts.permissions import require_operator
from pkgindex.clientip import client_ip
from pkgindex.errors import ServiceError
from pkgindex.simple import pagecache
from throttling import onrequest, signals
from throttling import store as limiter
from throttling.decision import Decision

FREE = "free"  # the label of routes that no limit knows: health, static files, usage
RETURNED = frozenset({304, 401})  # answers whose charge is given back
SENDS_BYTES = frozenset({200, 206, 302, 307})
BOUNDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10)  # seconds
PROXIED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")

here = CollectorRegistry()
requests = Histogram(
    "pkgindex_request_seconds",
    "Requests, and how long until their answer began.",
    ["scope", "status"],
    buckets=BOUNDS,
    registry=here,
)
decisions = Counter(
    "pkgindex_limits_decisions",
    "Decisions: allowed, delayed, returned (charged and given back), refused, banned, shadow_refused (and allowed).",
    ["scope", "outcome"],
    registry=here,
)
delays = Histogram(
    "pkgindex_limits_delay_seconds",
    "How long limits held requests back.",
    ["scope"],
    buckets=(0.01, 0.1, 0.5, 1, 2, 5),
    registry=here,
)
without_store = Counter(
    "pkgindex_limits_degraded_decisions", "Decisions made without the store of the limits.", ["scope"], registry=here
)
bans = Counter("pkgindex_limits_bans", "Bans that limits began.", registry=here)
uploads = Counter("pkgindex_uploads", "Uploads that were taken.", registry=here)
upload_bytes = Counter("pkgindex_upload_bytes", "Bytes of their bodies.", registry=here)
download_bytes = Counter("pkgindex_download_bytes", "Bytes of files that downloads were charged.", registry=here)


class StoreState:
    """Whether the limiter's store answers, asked when somebody looks."""

    def collect(self) -> list[GaugeMetricFamily]:
        """1 or 0, of the process that is asked."""
        limiter.get().read_version()
        state = limiter.status()["state"]
        text = "1 while the store of the limits answers."
        return [GaugeMetricFamily("pkgindex_limits_store_up", text, float(state in {"closed", "memory"}))]

    def describe(self) -> list[GaugeMetricFamily]:
        """Names without asking the store."""
        return [GaugeMetricFamily("pkgindex_limits_store_up", "")]


here.register(StoreState())
here.register(pagecache.builds)


class Measured:
    """Django middleware, the outermost: counts what was answered and what limits decided about it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, counted."""
        began = perf_counter()
        response = self._get_response(request)
        scope = throttles.scope_of(request.method or "GET", request.path_info) or FREE
        status = response.status_code
        note(scope, status, perf_counter() - began, onrequest.decisions(request) if scope is not FREE else None)
        if scope is not FREE:
            _note_bytes(request, scope, status)
        return response


def note(scope: str, status: int, seconds: float, held: list[Decision] | None) -> None:
    """Count an answer and how long it took until it began; `held` is what limits decided, None where they were free."""
    _timer(scope, status // 100).observe(seconds)
    if held is not None:
        _note_decisions(held, scope, status)


def bucket_of(seconds: float) -> int:
    """Which bucket of the histogram an answer belongs to that began after so long."""
    return bisect_left(BOUNDS, seconds)


def note_answers(scope: str, status: int, bucket: int, times: int, seconds: float) -> None:
    """Count so many answers of one bucket, which took so long together."""
    timer = _timer(scope, status // 100)
    # The library has no way to observe many at once; this is what it does with each.
    timer._sum.inc(seconds)  # noqa: SLF001 - as said
    timer._buckets[bucket].inc(times)  # noqa: SLF001 - as said


def note_passed(scope: str, times: int, *, degraded: bool) -> None:
    """Count decisions by which requests went through at once, with the limits' store or without it."""
    _decided(scope, "allowed").inc(times)
    if degraded:
        without_store.labels(scope).inc(times)


def note_returned(scope: str, times: int) -> None:
    """Count answers whose charge was given back."""
    _decided(scope, "returned").inc(times)


def _note_decisions(held: list[Decision], scope: str, status: int) -> None:
    """Those that went through at once; signals tell of the others."""
    for decision in held:
        if decision.allowed and not decision.delay_us:
            note_passed(decision.scope, 1, degraded=decision.degraded)
    if not held and status in RETURNED:
        note_returned(scope, 1)


@cache
def _timer(scope: str, hundreds: int) -> Any:
    return requests.labels(scope, f"{hundreds}xx")


@cache
def _decided(scope: str, outcome: str) -> Any:
    return decisions.labels(scope, outcome)


def _note_bytes(request: HttpRequest, scope: str, status: int) -> None:
    if scope == "download" and status in SENDS_BYTES and request.method == "GET":
        download_bytes.inc(request.__dict__.get(throttles.CHARGED_BYTES, 0))
    elif scope == "upload" and status == 200:
        uploads.inc()
        length = request.META.get("CONTENT_LENGTH") or "0"
        upload_bytes.inc(int(length) if length.isascii() and length.isdigit() else 0)


def _note_degraded(decision: Decision) -> None:
    if decision.degraded:
        without_store.labels(decision.scope).inc()


def _refused(*, decision: Decision, **_: Any) -> None:
    _decided(decision.scope, "banned" if decision.banned_for else "refused").inc()
    _note_degraded(decision)


def _would_refuse(*, decision: Decision, **_: Any) -> None:
    _decided(decision.scope, "shadow_refused").inc()


def _delayed(*, decision: Decision, **_: Any) -> None:
    _decided(decision.scope, "delayed").inc()
    delays.labels(decision.scope).observe(decision.delay_us / 1_000_000)
    _note_degraded(decision)


def _banned(**_: Any) -> None:
    bans.inc()


signals.refused.connect(_refused, dispatch_uid="pkgindex.metrics")
signals.would_refuse.connect(_would_refuse, dispatch_uid="pkgindex.metrics")
signals.delayed.connect(_delayed, dispatch_uid="pkgindex.metrics")
signals.banned.connect(_banned, dispatch_uid="pkgindex.metrics")


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Everything counted by every worker of this server, for `METRICS_NETWORKS` and for administrators."""
    try:
        if not _is_near(request):
            require_operator(identify(request), "read metrics")
    except ServiceError as error:
        return answers.problem(error)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_counted()), content_type=content_type, headers={"Cache-Control": "no-store"})


def _is_near(request: HttpRequest) -> bool:
    """True for an address of the setting. What came through a proxy that nobody named could be from anywhere."""
    address = client_ip(request)
    if address == request.META.get("REMOTE_ADDR", "") and any(name in request.META for name in PROXIED):
        return False
    try:
        place = ip_address(address)
    except ValueError:
        return False
    return any(place in network for network in settings.METRICS_NETWORKS)


def _counted() -> CollectorRegistry:
    every = CollectorRegistry()
    try:
        MultiProcessCollector(every)
    except ValueError:
        return here  # no folder of files: this process is the only one
    every.register(StoreState())
    return every
