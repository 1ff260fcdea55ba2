"""URLs of the upload door: each with and without its slash, since a redirected upload is a lost upload."""

from django.urls import path

from pkgindex.upload.views import upload

urlpatterns = [
    path("legacy/", upload, name="upload"),
    path("legacy", upload),
    path("i/<slug:slug>/legacy/", upload, name="upload-index"),
    path("i/<slug:slug>/legacy", upload),
]
