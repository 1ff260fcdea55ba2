"""Signing in and out for everyone with an account: the admin's own page takes staff only."""

from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponseBase

from pkgindex.web.answer import for_people


class SignIn(LoginView):
    """The form; afterwards to `next`, which Django keeps on this host."""

    template_name = "web/login.html"
    next_page = "home"
    redirect_authenticated_user = False

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """As every page: with the headers of one."""
        return for_people(super().dispatch)(request, *args, **kwargs)


class SignOut(LogoutView):
    """By POST only, so that no foreign page can do it."""

    next_page = "home"
