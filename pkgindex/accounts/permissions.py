"""From a verdict to an error: the check that every door and service calls."""

from pkgindex.accounts.roles import Action, Place, Verdict, Who, decide
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
    actor = f"The token '{who.token_name}' of user" if who.token_id else "The user"
    raise Forbidden(f"{actor} '{who.username}' isn't allowed to {DOING[action]} {what}.")
