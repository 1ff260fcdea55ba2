"""Views that tests limit."""

from django.http import HttpResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from throttling import throttles
from throttling.decorators import limit


class Burst(throttles.UserRateThrottle):
    scope = "burst"
    rate = "3/hour"


class Sustained(throttles.UserRateThrottle):
    scope = "sustained"
    rate = "100/day"


class Base(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request):
        return Response("ok")


class Both(Base):
    throttle_classes = [Sustained, Burst]


class Anonymous(Base):
    throttle_classes = [type("Anon", (throttles.AnonRateThrottle,), {"rate": "2/hour"})]


class Scoped(Base):
    throttle_classes = [throttles.ScopedRateThrottle]
    throttle_scope = "exports"


class Unscoped(Base):
    throttle_classes = [throttles.ScopedRateThrottle]


class Planned(Base):
    throttle_classes = [throttles.PlanThrottle]
    throttle_scope = "exports"

    def throttle_cost(self, request):
        return int(request.GET.get("cost", 1))


class Refunding(Base):
    throttle_classes = [Burst]

    def get(self, request):
        throttles.refund(request)
        return Response("free")


def ok(request):
    return HttpResponse("ok")


urlpatterns = [
    path("both", Both.as_view()),
    path("anonymous", Anonymous.as_view()),
    path("scoped", Scoped.as_view()),
    path("unscoped", Unscoped.as_view()),
    path("planned", Planned.as_view()),
    path("refunding", Refunding.as_view()),
    path("plain", limit("2/hour; 100/day")(ok)),
    path("shared-1", limit("2/hour", name="shared")(ok)),
    path("shared-2", limit("2/hour", name="shared")(ok)),
    path("by-key", limit("1/hour", name="by-key", key=lambda request: request.GET.get("k", ""))(ok)),
    path("post-only", limit("1/hour", name="post-only", methods={"POST"})(ok)),
    path("exempt", limit("1/hour", name="exempt", exempt_when=lambda request: "me" in request.GET)(ok)),
    path("costly", limit("10/hour", name="costly", cost=lambda request: int(request.GET["n"]))(ok)),
    path("shadow", limit("1/hour", name="in-shadow", shadow=True)(ok)),
    path(
        "failures",
        limit("2/hour", name="failures", deduct_when=lambda response: response.status_code == 400)(
            lambda request: HttpResponse("x", status=400 if "bad" in request.GET else 200)
        ),
    ),
    path(
        "own-words",
        limit("1/hour", name="own-words", on_breach=lambda _request, _decision: HttpResponse("busy", status=503))(ok),
    ),
    path("by-plan", limit(scope="exports")(ok)),
    path("first", limit("5/hour", name="first")(limit("1/hour", name="second")(ok))),
]
