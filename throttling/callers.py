"""Who sends a request, as far as Django knows; a project names its own function in `THROTTLING["CALLER"]`."""

from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_address
from typing import Any

from django.utils.module_loading import import_string

from throttling import conf
from throttling.subjects import Caller, Network


def caller_for(request: Any) -> Caller:
    """The caller, by the project's function."""
    found: Caller = _function(conf.get().caller)(request)
    return found


def actor_for(request: Any) -> str:
    """The name of who changes limits, for the record: by the project's function, else the user's."""
    path = conf.get().actor
    found: str = _function(path)(request) if path else str(request.user)
    return found


@cache
def _function(path: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = import_string(path)
    return found


def caller_of(request: Any) -> Caller:
    """The default: Django's user and the address. Groups cost a query, kept on the user object."""
    user = getattr(request, "user", None)
    address = address_of(request)
    if user is None or not user.is_authenticated:
        return Caller(address=address)
    groups = getattr(user, "throttling_groups", None)
    if groups is None:
        groups = tuple(str(pk) for pk in user.groups.order_by("pk").values_list("pk", flat=True))
        user.throttling_groups = groups
    return Caller(user=str(user.pk), groups=groups, address=address)


def address_of(request: Any) -> str:
    """The client's address: `X-Forwarded-For` read from the right, as far as each hop is a trusted proxy."""
    meta = request.META
    return outermost(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), conf.get().networks)


def outermost(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """Walk from the peer outwards while the hop is trusted: what a client itself writes never counts."""
    believed = peer
    for hop in (peer, *reversed([part.strip() for part in forwarded.split(",") if part.strip()])):
        if not hop and hop == peer and trusted:
            continue  # a unix socket: only the proxy of this machine can be there
        try:
            address = ip_address(hop.strip("[]").partition("%")[0])
        except ValueError:
            break
        address = getattr(address, "ipv4_mapped", None) or address
        believed = str(address)
        if not any(address in network for network in trusted):
            break
    return believed
