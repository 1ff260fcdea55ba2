"""URLs of the standalone project, and of the tests inside the product."""

from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import SimpleRouter

from tests.throttling import views
from throttling import api

router = SimpleRouter()
api.register(router)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/usage/", api.UsageView.as_view()),
    path("api/", include(router.urls)),
    *views.urlpatterns,
]
