"""Guards against guessing: failed logins are counted, right credentials never."""

from dataclasses import dataclass

from throttling import plans, store, take
from throttling.decision import Decision
from throttling.lines import ban_key, key_of
from throttling.subjects import Caller, address_key, safe


@dataclass(frozen=True, slots=True)
class LoginGuard:
    """Limits guessing of credentials, by limits of the scope `login`.

    Failures are charged to the pair of address and name, and to the address. Ask `blocked` only after the credentials
    proved wrong: then neither the failures of others nor one's own lock out whoever has the right ones. A guess that
    comes while blocked is answered 429 and is told nothing about the password.
    """

    caller: Caller
    name: str = ""

    def failed(self) -> Decision:
        """Count one failure; refused where there were too many, and then perhaps banned."""
        decision = take.take(self._anonymous(), "login")
        if not self.name:
            return decision
        pair = take.take(self._pair(), "login")
        return pair if decision.allowed else decision

    def blocked(self) -> Decision:
        """Whether another failure would be refused; charges nothing."""
        decision = take.look(self._anonymous(), "login")
        return decision if not self.name or not decision.allowed else take.look(self._pair(), "login")

    def succeeded(self) -> None:
        """Forget the pair's failures. The address's stay: its other guesses were no less wrong."""
        if not self.name:
            return
        bound = plans.current().resolve(self._pair(), "login")
        own = [key_of(limit, subject) for limit, subject in bound if subject == self._pair().key]
        store.get().forget([*own, ban_key(self._pair().key)])

    def _anonymous(self) -> Caller:
        return Caller(address=self.caller.address)

    def _pair(self) -> Caller:
        return Caller(token=safe(f"{address_key(self.caller.address)}+{self.name}"), address=self.caller.address)
