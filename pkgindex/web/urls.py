"""URLs of the web door."""

from django.urls import URLPattern, URLResolver, path

from pkgindex.web import sessions, status, views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("status/", status.nodes, name="status"),
    path("status", views.slashless),
    path("robots.txt", views.robots, name="robots"),
    path("login/", sessions.SignIn.as_view(), name="login"),
    path("logout/", sessions.SignOut.as_view(), name="logout"),
    path("p/<str:name>/", views.project, name="project"),
    path("p/<str:name>", views.slashless),
    path("i/<slug:slug>/", views.index_home, name="index-home"),
    path("i/<slug:slug>", views.slashless),
    path("i/<slug:slug>/p/<str:name>/", views.project, name="index-project"),
    path("i/<slug:slug>/p/<str:name>", views.slashless),
]
