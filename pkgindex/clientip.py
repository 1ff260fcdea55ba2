"""Which address a request came from, believing only proxies that the operator named."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """The address of the caller as text.

    `X-Forwarded-For` is read from the right and only as far as each hop is a network in `TRUSTED_PROXIES`; what a
    client itself writes into that header therefore never counts.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    return resolve(peer, request.META.get("HTTP_X_FORWARDED_FOR", ""), settings.TRUSTED_PROXIES)


def resolve(peer: str, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Walk from the connection's peer outwards while the hop is trusted; garbage ends the walk."""
    hops = [peer, *reversed([part.strip() for part in forwarded.split(",") if part.strip()])]
    believed = peer
    for hop in hops:
        parsed = _parse(hop)
        if parsed is None:
            # A unix socket has no address: it can only be the proxy on this machine.
            if hop == peer and not hop:
                continue
            break
        address, believed = parsed
        if not any(address in network for network in trusted):
            break
    return believed


@lru_cache(maxsize=4_096)
def _parse(text: str) -> tuple[IPv4Address | IPv6Address, str] | None:
    """The address, and as it is written."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    return address, str(address)
