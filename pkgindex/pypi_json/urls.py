"""URLs of the pypi_json door, each with and without the last slash, as PyPI has them."""

from django.urls import URLPattern, URLResolver, re_path

from pkgindex.pypi_json import views

TOP = r"(?:i/(?P<slug>[-a-zA-Z0-9_]{1,50})/)?pypi/(?P<name>[^/]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"\A{TOP}/json/?\Z", views.document),
    re_path(rf"\A{TOP}/(?P<version>[^/]+)/json/?\Z", views.document),
]
