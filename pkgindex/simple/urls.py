"""URLs of the simple door: the default index, the others by slug, and the page that hatch asks before it uploads."""

from django.urls import URLPattern, URLResolver, re_path

from pkgindex.simple import views

INDEX = r"(?:i/(?P<slug>[-a-zA-Z0-9_]{1,50})/)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"\A{INDEX}?simple/?\Z", views.root),
    re_path(rf"\A{INDEX}?simple/(?P<name>[^/]+)/?\Z", views.detail),
    # hatch: <upload URL>/%2Bsimple/<project>/
    re_path(rf"\A{INDEX}?legacy/\+simple/(?P<name>[^/]+)/?\Z", views.listing),
]
