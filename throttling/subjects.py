"""Who is asking, as a value, and the keys under which limits, bans and exemptions know them. Pure.

Keys are text such as `user:42`, `token:7`, `group:3`, `addr:203.0.113.9`, `net:10.0.0.0/8`, `key:project:acme`,
`anon`, `users` and `everyone`.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

ANON, USERS, EVERYONE = "anon", "users", "everyone"
WORDS = (ANON, USERS, EVERYONE)
KINDS = ("token", "user", "group", "addr", "net", "key")
SAFE = re.compile(r"[\w.:/@+*=\[\]-]{1,80}")
Network = IPv4Network | IPv6Network


class SubjectError(ValueError):
    """The text names no subject; the message says what would."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity behind one request. `address` is the client's as a trusted proxy or the connection gives it.

    `name` makes it a thing instead of somebody, such as `project:acme`: it has a bucket of its own, may have a plan
    assigned to `key:project:acme`, and belongs to `everyone` and to nothing else.
    """

    user: str = ""
    token: str = ""
    groups: tuple[str, ...] = ()
    address: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """The user's key, else the token's, else the address's: a client behind one NAT is not one client."""
        if self.name:
            return f"key:{safe(self.name)}"
        if self.user:
            return f"user:{safe(self.user)}"
        return f"token:{safe(self.token)}" if self.token else address_key(self.address)

    @property
    def known(self) -> bool:
        """True for a caller who has said who they are."""
        return bool(self.user or self.token)

    def keys(self) -> tuple[str, ...]:
        """Every key that names this caller alone or with their group, the most specific first."""
        if self.name:
            return self.key, EVERYONE
        found = [f"token:{safe(self.token)}"] if self.token else []
        found += [f"user:{safe(self.user)}"] if self.user else []
        found += [f"group:{safe(group)}" for group in self.groups]
        return (*found, address_key(self.address), USERS if self.known else ANON, EVERYONE)


def safe(text: str) -> str:
    """The text, or a digest of it where it is long or has letters that mean something in a key."""
    return text if SAFE.fullmatch(text) else "sha256-" + sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=16_384)
def address_key(text: str) -> str:
    """`addr:` and the IPv4 address or the IPv6 /64: who has one address of a /64 has them all."""
    try:
        address = ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return "addr:unknown"
    address = getattr(address, "ipv4_mapped", None) or address
    if address.version == 4:
        return f"addr:{address}"
    return f"addr:{ip_network((address, 64), strict=False)}"


@lru_cache(maxsize=16_384)
def network_of(text: str) -> Network | None:
    """The address as a network of one; None for what is no address."""
    try:
        address = ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return None
    return ip_network(getattr(address, "ipv4_mapped", None) or address)


def parse_subject(text: str) -> str:
    """The subject's canonical key. Raises SubjectError with a sentence for people."""
    text = text.strip()
    if text in WORDS:
        return text
    kind, _, name = text.partition(":")
    if kind not in KINDS or not name:
        raise SubjectError(f"{text!r} is no subject such as user:42, net:10.0.0.0/8, anon or everyone.")
    if kind == "net":
        try:
            return f"net:{ip_network(name, strict=False)}"
        except ValueError as error:
            raise SubjectError(f"{name!r} is not a network: {error}.") from None
    if kind == "addr":
        key = address_key(name.removesuffix("/64"))
        if key == "addr:unknown":
            raise SubjectError(f"{name!r} is not an address.")
        return key
    if not SAFE.fullmatch(name):
        raise SubjectError(f"{name!r} is longer than 80 letters or has some that a key cannot hold.")
    return text
