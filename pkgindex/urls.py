"""Where the doors are hung."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("pkgindex.simple.urls")),
    path("", include("pkgindex.downloads.urls")),
    path("", include("pkgindex.upload.urls")),
    path("", include("pkgindex.pypi_json.urls")),
    path("", include("pkgindex.web.urls")),
    path("admin/", admin.site.urls),
]
