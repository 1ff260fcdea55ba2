"""Where the doors are hung."""

from django.contrib import admin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from pkgindex import health, metrics
from pkgindex.upload.views import upload
from pkgindex.web.views import home


@csrf_exempt
def front(request: HttpRequest) -> HttpResponseBase:
    """`/` is two doors: people read there, and a few uploaders are configured with the bare host."""
    return upload(request) if request.method == "POST" else home(request)


urlpatterns = [
    path("", front),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("", include("pkgindex.simple.urls")),
    path("", include("pkgindex.downloads.urls")),
    path("", include("pkgindex.upload.urls")),
    path("", include("pkgindex.pypi_json.urls")),
    path("", include("pkgindex.web.urls")),
    path("api/", include("pkgindex.api_urls")),
    path("admin/", admin.site.urls),
]
