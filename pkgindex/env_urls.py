"""URLs that an operator writes into the environment, as what Django and Redis take. Pure; each names its mistake."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

SMTP = "django.core.mail.backends.smtp.EmailBackend"
CONSOLE = "django.core.mail.backends.console.EmailBackend"
MAIL_SECONDS = 10
SUBMISSION, SUBMISSION_TLS, RELAY = 587, 465, 25  # ports, RFC 6409 and RFC 8314
MAIL_SCHEMES = {"smtp": RELAY, "smtp+tls": SUBMISSION, "smtps": SUBMISSION_TLS, "console": 0}
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})


def mail(text: str, faults: list[str]) -> dict[str, Any]:
    """A mailer as Django 6.1 writes it, from `smtp://`, `smtp+tls://` (STARTTLS), `smtps://` or `console:`."""
    url = _split(text, MAIL_SCHEMES, "EMAIL_URL: write smtp+tls://user:password@host:587, or console:", faults)
    if url is None or url.scheme == "console":
        return {"BACKEND": CONSOLE, "OPTIONS": {}}
    options = {
        "host": url.hostname,
        "port": url.port or MAIL_SCHEMES[url.scheme],
        "username": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "use_tls": url.scheme == "smtp+tls",
        "use_ssl": url.scheme == "smtps",
        "timeout": MAIL_SECONDS,
    }
    return {"BACKEND": SMTP, "OPTIONS": options}


def cache_and_broker(server: str) -> tuple[str, str]:
    """The URLs of database 1 for the cache and of database 0 for Celery on one Redis, which may listen on a socket."""
    scheme, _, rest = server.partition("://")
    if scheme == "unix":  # what follows is a path, and Celery has a name of its own for it
        return f"{server}?db=1", f"redis+socket://{rest}"
    return f"{server}/1", f"{server}/0"


def redis(name: str, text: str, faults: list[str]) -> str:
    """The URL of a Redis, as it is; empty for none."""
    if text:
        _split(text, REDIS_SCHEMES, f"{name}: write redis://host:6379/1", faults)
    return text


def page_cache(text: str, faults: list[str]) -> str:
    """Where ready pages are shared, as it is: `memcached://host:port[,host:port]`, `none:`, or empty for Redis."""
    text = text.strip()
    places = text.removeprefix("memcached://").split(",")
    known = text in {"", "none:"} or (text.startswith("memcached://") and all(map(_is_place, places)))
    if known and text.startswith("memcached") and find_spec("pymemcache") is None:
        faults.append("PAGE_CACHE_URL: Memcached needs pymemcache; install it with pip install 'pkgindex[memcached]'.")
        return ""
    if known:
        return text
    faults.append(
        "PAGE_CACHE_URL: write memcached://host:11211, several with commas, or none:; leave it out for Redis."
    )
    return ""


def cluster(text: str, faults: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Nodes and options of a Redis Cluster, from `[rediss://[user:password@]]host:port,host:port`."""
    if not text:
        return [], {}
    scheme, found, rest = text.rpartition("://")
    credentials, _, places = rest.rpartition("@")
    nodes = [place.strip() for place in places.split(",") if place.strip()]
    wrong = [node for node in nodes if not _is_place(node)]
    if wrong or not nodes or (found and scheme not in {"redis", "rediss"}):
        faults.append("LIMITS_REDIS_CLUSTER: write host:port,host:port, if need be after rediss://user:password@.")
        return [], {}
    username, _, password = credentials.partition(":")
    options: dict[str, Any] = {"username": unquote(username), "password": unquote(password)}
    return nodes, {key: value for key, value in options.items() if value} | (
        {"ssl": True} if scheme == "rediss" else {}
    )


def webhooks(texts: Sequence[str], faults: list[str]) -> list[str]:
    """Addresses that take a POST."""
    given = [text.strip() for text in texts if text.strip()]
    for text in given:
        _split(text, {"http", "https"}, "LIMITS_WEBHOOKS: write https://host/path, several with commas", faults)
    return given


def addresses(name: str, texts: Sequence[str], faults: list[str]) -> list[str]:
    """Mail addresses, as far as a glance can tell."""
    given = [text.strip() for text in texts if text.strip()]
    # A line break would write headers of its own.
    wrong = [text for text in given if text.count("@") != 1 or not text.isprintable() or text[0] == "@"]
    faults += [f"{name}: {text[:50]!r} is not a mail address." for text in wrong]
    return given


def _split(text: str, schemes: Any, advice: str, faults: list[str]) -> SplitResult | None:
    """The parts of a URL; what is wrong is told without the text, which can hold a password."""
    try:
        url = urlsplit(text.strip())
        told = url.port is None or url.port > 0
    except ValueError:
        url, told = urlsplit(""), False
    nowhere = not url.hostname and url.scheme not in {"console", "unix"}
    if not told or nowhere or url.scheme not in schemes or not text.isprintable():
        faults.append(f"{advice}.")
        return None
    return url


def _is_place(node: str) -> bool:
    host, _, port = node.rpartition(":")
    return bool(host) and node.isprintable() and port.isascii() and port.isdigit() and 0 < int(port) < 65_536
