"""How DRF learns who is asking. Filled by identity."""

from rest_framework.authentication import BaseAuthentication, SessionAuthentication


class IdentityAuthentication(BaseAuthentication):
    def authenticate(self, request):
        return None


class SessionIdentityAuthentication(SessionAuthentication):
    pass
