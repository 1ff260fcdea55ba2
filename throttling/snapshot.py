"""The plans in force as one frozen picture, and which limits of it apply to a caller. Pure.

The most specific subject with a plan decides alone: token, user, groups by their order, networks by their length,
then `users` or `anon`, then `everyone`. Limits per assignee apply in addition, from every subject that matches.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from throttling.lines import Costs
from throttling.rates import Limit, Per, Unit
from throttling.subjects import Caller, Network, address_key, network_of, safe

STORAGE = "storage"  # what somebody keeps
OF_THINGS = "-storage"  # `project-storage` is what things named `project:…` keep, and nobody else
APART = frozenset({"breach", "login", "bandwidth", STORAGE})  # no ordinary requests: a limit must name them
MOST_REMEMBERED = 5_000

Bound = tuple[Limit, str]  # a limit and the subject whose bucket it charges


@dataclass(frozen=True, slots=True)
class Assigned:
    """A subject's plan."""

    subject: str
    order: int
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Exempt:
    """A subject that is not limited: in these scopes, or in all; until `until` (seconds since 1970), or for ever."""

    subject: str
    scopes: frozenset[str] = frozenset()
    until: float = float("inf")


@dataclass(frozen=True)
class Snapshot:
    """Made by `throttling.plans`; replaced as a whole and never changed, apart from what it remembers of itself."""

    version: str = ""
    assigned: tuple[Assigned, ...] = ()
    exempt: tuple[Exempt, ...] = ()
    bans: Mapping[str, float] = field(default_factory=dict)  # subject -> seconds since 1970
    plans: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)  # every plan, also those of nobody
    by_subject: Mapping[str, tuple[Assigned, ...]] = field(init=False)
    networks: tuple[tuple[Network, str], ...] = field(init=False)
    per_resource: bool = field(init=False)  # True where any limit looks at the URL
    prepared: dict[tuple[Caller, str, Costs], Any] = field(init=False, default_factory=dict, repr=False, compare=False)
    _remembered: dict[tuple[Caller, str], tuple[Bound, ...]] = field(init=False, default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        index: dict[str, tuple[Assigned, ...]] = {}
        for item in self.assigned:
            index[item.subject] = (*index.get(item.subject, ()), item)
        subjects = {*index, *self.bans, *(item.subject for item in self.exempt)}
        nets = [(ip_network(name[4:]), name) for name in subjects if name.startswith("net:")]
        object.__setattr__(self, "by_subject", index)
        every = (limit for item in self.assigned for limit in item.limits)
        object.__setattr__(self, "per_resource", any(limit.per_resource for limit in every))
        object.__setattr__(self, "networks", tuple(sorted(nets, key=lambda pair: -pair[0].prefixlen)))

    def subjects_of(self, caller: Caller) -> tuple[str, ...]:
        """Every key that this picture may know the caller by, the most specific first."""
        if caller.name:
            return caller.keys()
        *own, general, everyone = caller.keys()
        own = [*self._groups_in_order(own[:-1]), own[-1]]  # the last of them is the address
        place = network_of(caller.address) if self.networks else None
        nets = [name for net, name in self.networks if place and place.version == net.version and place.subnet_of(net)]  # type: ignore[arg-type] # versions are equal
        return (*own, *nets, general, everyone)

    def _groups_in_order(self, keys: list[str]) -> list[str]:
        def rank(key: str) -> tuple[int, int]:
            if not key.startswith("group:"):
                return -1, 0
            return 0, min((item.order for item in self.by_subject.get(key, ())), default=1_000_000)

        return sorted(keys, key=rank)

    def resolve(self, caller: Caller, scope: str) -> tuple[Bound, ...]:
        """The limits that apply to a caller in a scope, and whose bucket each charges."""
        wanted = (caller, scope)
        found = self._remembered.get(wanted)
        if found is None:
            found = tuple(self._resolve(caller, scope))
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[wanted] = found
        return found

    def _resolve(self, caller: Caller, scope: str) -> Iterable[Bound]:
        if not _may_keep(caller, scope):
            return
        decided = False
        for subject in self.subjects_of(caller):
            limits = [limit for item in self.by_subject.get(subject, ()) for limit in item.limits]
            for limit in limits:
                if not _applies(limit, scope):
                    continue
                if limit.per is Per.ASSIGNEE:
                    yield limit, subject
                elif not decided:
                    yield limit, _charged(limit, subject, caller)
            # A plan that says nothing of logins, bandwidth or storage leaves them to a more general one.
            decided = decided or any(
                limit.per is not Per.ASSIGNEE and (not is_apart(scope) or _applies(limit, scope)) for limit in limits
            )

    def exempts(self, caller: Caller, scope: str, now: float) -> bool:
        """True where nothing may limit the caller in this scope; `now` in seconds since 1970."""
        if not self.exempt:
            return False
        names = set(self.subjects_of(caller))
        return any(
            item.subject in names and (not item.scopes or scope in item.scopes) and now < item.until
            for item in self.exempt
        )

    def banned_until(self, caller: Caller) -> float:
        """When the latest ban of the caller that the rows tell of ends, in seconds since 1970; 0 for none."""
        if not self.bans:
            return 0.0
        return max((self.bans.get(name, 0.0) for name in self.ban_subjects(caller)), default=0.0)

    def ban_subjects(self, caller: Caller) -> tuple[str, ...]:
        """The keys whose ban stops this caller: an address's ban does not stop somebody who is known."""
        if not caller.known:
            return self.subjects_of(caller)
        return tuple(name for name in self.subjects_of(caller) if not name.startswith("addr:"))


def is_apart(scope: str) -> bool:
    """True for a scope that a limit must name."""
    return scope in APART or scope.endswith(OF_THINGS)


def _may_keep(caller: Caller, scope: str) -> bool:
    if scope.endswith(OF_THINGS):
        return caller.name.startswith(scope.removesuffix(OF_THINGS) + ":")
    return scope != STORAGE or not caller.name


def _applies(limit: Limit, scope: str) -> bool:
    if limit.scopes or is_apart(scope):
        # `50GB storage` without a word says already whose it is.
        return scope in limit.scopes or (scope == STORAGE and not limit.scopes and limit.rate.unit is Unit.STORAGE)
    return True


def _charged(limit: Limit, subject: str, caller: Caller) -> str:
    if caller.name:
        return caller.key
    if limit.per is Per.ADDRESS:
        return address_key(caller.address)
    if limit.per is Per.TOKEN and caller.token:
        return f"token:{safe(caller.token)}"
    if limit.per is Per.CALLER and subject.startswith("token:"):
        return subject
    return caller.key
