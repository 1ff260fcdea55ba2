"""The adapter that joins `throttling` to the index: our scopes, our callers, and where each request is charged.

Every request of a route is one request in the scope of that route. What a plan says about it is decided in one call
before the view runs, except for uploads: there the door asks, since it owes a client that is busy sending an answer
that gets through. A challenge and a 304 cost nothing, nor does asking how one stands.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from pkgindex.accounts.credentials import PasswordGiven, parse
from pkgindex.accounts.identity import caller
from pkgindex.accounts.roles import Who
from pkgindex.clientip import client_ip
from pkgindex.errors import InvalidCredentials, ServiceError
from pkgindex.settled import settled
from throttling import bandwidth, headers, leases, onrequest, responses, take
from throttling import conf as throttling_conf
from throttling.decision import Decision
from throttling.guards import LoginGuard
from throttling.lines import Beside, Costs
from throttling.subjects import Caller

BY_FIRST_SEGMENT = {"simple": "index", "pypi": "index", "packages": "download", "legacy": "index", "api": "api"}
FREE = frozenset({"livez", "readyz", "metrics", "static", "robots.txt"})
USAGE, METRICS = "/api/v1/usage/", "/metrics"
LONGEST_WAIT = 60  # seconds: an installer sleeps as long as it is told, so it is told to fail instead
COSTS_NOTHING = frozenset({304, 401})

BY_THE_DOOR = frozenset({"index", "download", "upload"})  # these ask when they know what to ask
ASKED_LATE = frozenset({"index", "download"})  # and where they did not come to that, they are asked for in the end
PENDING, CHARGED_BYTES = "limits_pending", "limits_charged_bytes"
HELD = "pkgindex.limits_held"  # in the environment of WSGI: the decision that the short way made before Django

View = Callable[[HttpRequest], HttpResponseBase]


class LimitReached(ServiceError):
    """A limit refuses; `decision` says which, `wait` when to come back (seconds), None where waiting does not help."""

    code = "too_many_requests"

    def __init__(self, decision: Decision, wait: int | None) -> None:
        super().__init__(headers.sentence(decision, wait))
        self.decision, self.wait = decision, wait

    def answer(self, request: HttpRequest) -> HttpResponse:
        """429 as problem details, as every reader gets it."""
        return responses.refusal(self.decision, request.method or "GET", most=LONGEST_WAIT)

    def decorate(self, response: HttpResponse) -> HttpResponse:
        """Add Retry-After and the RateLimit fields."""
        if self.wait is not None:
            response["Retry-After"] = str(self.wait)
        return responses.decorate(response, self.decision)


def scope_of(method: str, path: str) -> str | None:
    """The scope that a request belongs to; None for what is never limited."""
    first, *rest = path.lstrip("/").split("/")
    if first == "i" and len(rest) > 1:
        first = rest[1]
    if first in FREE or path == USAGE:
        return None
    if method == "POST" and first in {"", "legacy"}:
        return "upload"
    if first == "packages" and path.endswith(".metadata"):
        return "metadata"
    return BY_FIRST_SEGMENT.get(first, "web")


def caller_of(request: HttpRequest) -> Caller:
    """The request's sender as limits know them: token, user and groups where the credentials are right."""
    return _sender(request)[0]


def as_caller(who: Who, address: str) -> Caller:
    """A `Who` at an address as limits know them."""
    if who.is_anonymous:
        return Caller(address=address)
    token = str(who.token_id) if who.token_id else ""
    return Caller(str(who.user_id), token, tuple(map(str, who.group_ids)), address)


def admit(request: HttpRequest, scope: str, costs: Costs) -> Decision:
    """Charge the request in `scope`, sleeping as long as its limits shape it. Raises LimitReached."""
    decision = onrequest.decide(request, caller_of(request), scope, costs)
    if not decision.allowed:
        raise _refused(request, decision)
    return decision


def admit_page(request: HttpRequest, keys: tuple[str, ...]) -> Beside | None:
    """Decide a page's request together with reading keys of the pages' Redis: one round trip for both.

    None where they were not read, because nothing limits the request or limits have a server of their own. Raises
    LimitReached.
    """
    sender = request.__dict__.pop(PENDING, None)
    if sender is None:
        return None
    decision = _held(request) or onrequest.decide(request, sender, "index", take.ONE_REQUEST, beside=beside_of(keys))
    if not decision.allowed:
        raise _refused(request, decision)
    return decision.answer.beside


def beside_of(keys: tuple[str, ...]) -> tuple[str, ...]:
    """What to read beside a decision: the keys where limits and pages are kept by the same Redis, else nothing."""
    return keys if _one_server() else ()


def admit_download(request: HttpRequest, size: int) -> Decision:
    """Charge a file of `size` bytes and take a lease for it; give both to `paced`. Raises LimitReached."""
    request.__dict__[CHARGED_BYTES] = size
    # One decision for the request, its bytes and its lease; where the middleware has asked already, for the rest of it.
    requests = int(request.__dict__.pop(PENDING, None) is not None)
    decision = _held(request)
    if decision is None:
        return admit(request, "download", Costs(requests=requests, size=size, lease=leases.new()))
    if not decision.allowed:
        raise _refused(request, decision)
    return decision


def paced(request: HttpRequest, response: HttpResponseBase, decision: Decision, size: int) -> HttpResponseBase:
    """The response of an admitted download, at its caller's pace and with its lease kept while bytes flow.

    Where neither is limited nothing is wrapped, so that the server can still use sendfile. What nginx sends it paces
    itself, by the caller's rate divided by the downloads that are under way. What an aborted download did not send is
    given back, except by nginx, which does not tell.
    """
    if response.status_code >= 400:
        give_back(request)
        return response
    sender = caller_of(request)
    held = bool(leases.lines(decision) or bandwidth.limits_of(sender))
    if not held and not decision.counts_bytes:
        return response
    if response.has_header("X-Accel-Redirect"):
        if held:
            _paced_by_nginx(response, sender, decision, size)
    elif isinstance(response, StreamingHttpResponse):
        _paced_here(response, sender, decision, wrap=held)
    else:
        leases.release(decision)
    return response


def _paced_by_nginx(response: HttpResponseBase, sender: Caller, decision: Decision, size: int) -> None:
    rate = bandwidth.accel_rate(sender, decision)
    if rate is not None:
        response["X-Accel-Limit-Rate"] = str(rate)
    bandwidth.lease_for_accel(decision, size, rate)


def _paced_here(response: StreamingHttpResponse, sender: Caller, decision: Decision, *, wrap: bool) -> None:
    length = int(response["Content-Length"])
    file = getattr(response, "file_to_stream", None)
    if file is not None and not wrap:
        file.when_closed = partial(leases.give_back_unsent, decision, length)
        return
    chunks: Any = response.streaming_content
    response.streaming_content = leases.renewing(bandwidth.shaped(chunks, sender), decision, length)
    response.file_to_stream = None  # type: ignore[attr-defined]  # else the server sends the file by itself


def give_back(request: HttpRequest) -> None:
    """Undo what the request was charged: nothing of what it asked for was sent."""
    onrequest.refund(request)


class Limits:
    """Django middleware: one decision a request; wrong credentials are counted apart and never lock out right ones."""

    def __init__(self, get_response: View) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The view's answer, or 429."""
        scope = scope_of(request.method or "GET", request.path_info)
        if scope is None and not _costs_nothing_but_guesses(request):
            return self._get_response(request)
        sender, guard = _sender(request)
        if guard is not None:
            refused = _count_failure(request, guard)
            if refused is not None:
                return refused
        if scope is None:
            return self._get_response(request)
        if scope in BY_THE_DOOR:
            request.__dict__[PENDING] = sender
        else:
            refused = _decide(request, sender, scope)
            if refused is not None:
                return refused
        response = _after_sign_in(request, self._get_response(request))
        if response.status_code in COSTS_NOTHING:
            request.__dict__.pop(PENDING, None)
            _held(request)
            give_back(request)
        elif request.__dict__.pop(PENDING, None) is not None and scope in ASKED_LATE:
            # What has no page, such as a redirect, was answered without asking; it is counted all the same.
            return _decide(request, sender, scope) or response
        return response


def _costs_nothing_but_guesses(request: HttpRequest) -> bool:
    """True for credentials at an address that costs nothing: wrong ones are counted there all the same."""
    return request.path_info in {USAGE, METRICS} and "HTTP_AUTHORIZATION" in request.META


def _held(request: HttpRequest) -> Decision | None:
    """What the short way decided about this request, from now on as one of its decisions."""
    decision: Decision | None = request.META.pop(HELD, None)
    if decision is not None:
        onrequest.decisions(request).append(decision)
    return decision


def _decide(request: HttpRequest, sender: Caller, scope: str) -> HttpResponse | None:
    decision = _held(request) or onrequest.decide(request, sender, scope, take.ONE_REQUEST)
    if decision.allowed:
        return None
    return responses.refusal(decision, request.method or "GET", most=LONGEST_WAIT)


def _refused(request: HttpRequest, decision: Decision) -> LimitReached:
    jitter = request.method in responses.READS
    return LimitReached(decision, headers.retry_after(decision, jitter=jitter, most=LONGEST_WAIT))


@settled
def _one_server() -> bool:
    """True where limits and pages are kept by the same Redis."""
    limits = throttling_conf.get()
    if limits.store != "redis" or limits.client or limits.cluster:
        return False
    caches = settings.CACHES
    return bool(caches[limits.cache]["LOCATION"] == caches["default"]["LOCATION"])


def _sender(request: HttpRequest) -> tuple[Caller, LoginGuard | None]:
    """Who sends the request, and where the credentials are wrong the guard that counts it."""
    address = client_ip(request)
    try:
        return as_caller(caller(request), address), None
    except InvalidCredentials:
        anonymous = Caller(address=address)
        return anonymous, LoginGuard(anonymous, _name_in(request.META.get("HTTP_AUTHORIZATION", "")))


def _name_in(header: str) -> str:
    try:
        given = parse(header)
    except InvalidCredentials:
        return ""
    return given.username if isinstance(given, PasswordGiven) else ""


def _count_failure(request: HttpRequest, guard: LoginGuard) -> HttpResponseBase | None:
    """Count one failure; a 429 where there were too many, which tells a guesser nothing about the guess."""
    decision = guard.failed()
    return None if decision.allowed else responses.refusal(decision, request.method or "GET", most=LONGEST_WAIT)


def _after_sign_in(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Count what the sign-in forms refused: they answer 200 with the form again, and a redirect where it was right."""
    if request.method != "POST" or not request.path_info.endswith("/login/") or response.status_code not in {200, 302}:
        return response
    name: Any = request.POST.get("username", "")
    guard = LoginGuard(Caller(address=client_ip(request)), str(name)[:150])
    if response.status_code == 302:
        guard.succeeded()
        return response
    return _count_failure(request, guard) or response
