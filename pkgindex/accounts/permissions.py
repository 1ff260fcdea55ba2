"""From a verdict to an error: the check that every door and service calls."""

from pkgindex.accounts.roles import NEEDED, Action, Place, Scope, Verdict, Who, decide
from pkgindex.errors import AuthenticationRequired, Forbidden, NotFound

DOING = {
    Action.READ: "read",
    Action.UPLOAD: "upload to",
    Action.MANAGE: "change files of",
    Action.OWN: "change the settings of",
}


def require(who: Who, action: Action, place: Place, what: str, *, realm: str = "pkgindex") -> None:
    """Return where `who` may do `action` to `place`, named `what` in sentences, such as `project 'acme'`.

    Raises AuthenticationRequired, NotFound or Forbidden, as `decide` rules.
    """
    verdict = decide(who, action, place)
    if verdict is Verdict.ALLOW:
        return
    if verdict is Verdict.CHALLENGE:
        raise AuthenticationRequired(f"Authentication is required to {DOING[action]} {what}.", realm=realm)
    if verdict is Verdict.HIDE:
        raise NotFound(f"There is no {what} here, or you may not see it.")
    scope = NEEDED[action][1]
    lacking = "" if scope in who.scopes else f" The scope '{scope.value}' is needed."
    raise Forbidden(f"{_named(who)} isn't allowed to {DOING[action]} {what}.{lacking}")


def require_scope(who: Who, scope: Scope, doing: str) -> None:
    """Return where a known caller has `scope`; `doing` completes "to", such as `issue tokens`.

    Raises AuthenticationRequired or Forbidden.
    """
    if who.is_anonymous:
        raise AuthenticationRequired(f"Authentication is required to {doing}.")
    if scope not in who.scopes:
        raise Forbidden(f"{_named(who)} isn't allowed to {doing}. The scope '{scope.value}' is needed.")


def require_operator(who: Who, doing: str) -> None:
    """Return for a superuser with the scope `admin`, through no token that is limited to an index or to projects.

    Raises AuthenticationRequired or Forbidden.
    """
    require_scope(who, Scope.ADMIN, doing)
    if not who.is_superuser:
        raise Forbidden(f"{_named(who)} isn't allowed to {doing}: only administrators are.")
    if who.token_index_id is not None or who.project_patterns:
        raise Forbidden(f"{_named(who)} isn't allowed to {doing}: the token is limited to an index or to projects.")


def _named(who: Who) -> str:
    actor = f"The token '{who.token_name}' of user" if who.token_id else "The user"
    return f"{actor} '{who.username}'"
