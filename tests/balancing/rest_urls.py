"""The URLs of a small project that shows its nodes over REST."""

from django.urls import include, path
from rest_framework.permissions import IsAdminUser
from rest_framework.routers import SimpleRouter

from balancing import api

router = SimpleRouter()
api.register(router, permission_classes=[IsAdminUser])
urlpatterns = [path("api/", include(router.urls))]
