"""The error that every service raises: a code for programs and one sentence for people. No HTTP here."""


class ServiceError(Exception):
    """Base of all refusals; raise a subclass.

    `code` is stable and appears in answers and logs; `pkgindex.answers` maps it to an HTTP status.
    """

    code = "invalid"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InvalidRequest(ServiceError):
    """The request asks for something that has no meaning here."""

    code = "invalid"


class AuthenticationRequired(ServiceError):
    """Nobody said who they are and this needs somebody; answered with a Basic challenge."""

    code = "authentication_required"

    def __init__(self, sentence: str = "Authentication is required.", *, realm: str = "pkgindex") -> None:
        super().__init__(sentence)
        self.realm = realm


class InvalidCredentials(AuthenticationRequired):
    """Credentials were sent and are wrong, revoked or expired; the sentence says which."""

    code = "invalid_credentials"


class NotFound(ServiceError):
    """It does not exist, or this caller may not know that it does."""

    code = "not_found"


class Forbidden(ServiceError):
    """The caller may see it but not do this to it."""

    code = "forbidden"
