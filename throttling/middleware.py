"""RateLimit fields on every answer whose request was limited, whoever limited it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from throttling import headers, onrequest


class RateLimitHeaders:
    """Django middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Several decisions about one request are several members of the same fields."""
        response = self.get_response(request)
        for decision in onrequest.decisions(request):
            for name, value in headers.fields(decision).items():
                told = response.get(name)
                if told is None:
                    response[name] = value
                elif value not in told:
                    response[name] = f"{told}, {value}"
        return response
