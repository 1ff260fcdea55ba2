"""URLs of the downloads door. Every path below /packages/ is ours, so that a wrong one gets our kind of answer."""

from django.urls import URLPattern, URLResolver, re_path

from pkgindex.downloads import views

urlpatterns: list[URLPattern | URLResolver] = [re_path(r"\Apackages/(?P<path>[\s\S]*)\Z", views.download)]
