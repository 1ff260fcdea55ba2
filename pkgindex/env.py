"""The only reader of the environment: variables in, one frozen value out, every mistake named at once.

A file `pkgindex.env` in the data directory (written by `manage.py up`) supplies what the environment does not, so
that a command typed in another terminal meets the same database and the same Redis as the running service.
"""

import io
import os
import re
import secrets
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from environs import Env as Reader
from environs import EnvError, validate

from pkgindex import env_urls

ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = "pkgindex.env"
DEFAULT_REDIS = "redis://127.0.0.1:6379"
LOOPBACK = ["127.0.0.0/8", "::1"]
LEAST_KEY = re.compile(r"[0-9A-Fa-f]{64,}")  # 32 bytes, the length of the hash (RFC 2104 section 3)

# A server that is silent or cut off is given up within half a minute (libpq's own defaults are minutes to hours), so
# that threads do not wait for it and a new connection is tried. Seconds; the last in milliseconds.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Env:
    """Everything an operator can set, already typed. Sizes are bytes, times are seconds."""

    data_dir: Path
    debug: bool
    secret_key: str
    secret_key_given: bool
    allowed_hosts: list[str]
    public_url: str
    https_only: bool
    database: dict[str, Any]
    cache_url: str
    page_cache_url: str
    broker_url: str
    blob_storage: dict[str, Any]
    trusted_proxies: tuple[Network, ...]
    max_upload_bytes: int
    web_processes: int
    web_threads: int
    accel_prefix: str
    mirror_keys: dict[str, str]
    zone: str
    zones_away: list[str]
    limits_redis_url: str
    limits_cluster: list[str]
    limits_cluster_options: dict[str, Any]
    limits_mail_to: list[str]
    limits_webhooks: list[str]
    mail: dict[str, Any]
    mail_from: str
    metrics_networks: tuple[Network, ...]
    log_level: str


def data_dir() -> Path:
    """Where the database, blobs and spool files of a single-machine installation live."""
    return Path(os.environ.get("PKGINDEX_DATA") or ROOT / "data").resolve()


def load() -> Env:
    """Read and check the environment.

    Raises ImproperlyConfigured with one line for each variable that cannot be used.
    """
    home = data_dir()
    reader = Reader(eager=False)
    if read_file(home / ENV_FILE):
        reader.read_env(str(home / ENV_FILE), recurse=False)
    cache_url, broker_url = env_urls.cache_and_broker(reader.str("REDIS_URL", DEFAULT_REDIS).rstrip("/"))
    secret = reader.str("SECRET_KEY", "")
    faults: list[str] = []
    values: dict[str, Any] = {
        "data_dir": home,
        "debug": reader.bool("DEBUG", False),
        "secret_key": secret or secrets.token_urlsafe(48),
        "secret_key_given": bool(secret),
        "allowed_hosts": reader.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"]),
        "public_url": reader.str("PUBLIC_URL", "").rstrip("/"),
        "https_only": reader.bool("HTTPS_ONLY", False),
        "cache_url": reader.str("CACHE_URL", cache_url),
        "broker_url": reader.str("CELERY_BROKER_URL", broker_url),
        "max_upload_bytes": reader.int("MAX_UPLOAD_BYTES", 4 << 30, validate=validate.Range(min=1)),
        "web_processes": reader.int("WEB_PROCESSES", 2, validate=validate.Range(min=1)),
        "web_threads": reader.int("WEB_THREADS", 32, validate=validate.Range(min=2)),
        "accel_prefix": reader.str("ACCEL_REDIRECT_PREFIX", "", validate=validate.Regexp(r"\A(/[\w./-]*/)?\Z")),
        "zone": reader.str("ZONE", ""),
        "zones_away": reader.list("ZONES_AWAY", []),
        "log_level": reader.str(
            "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
        ),
    }
    values["database"] = _database(reader.str("DATABASE_URL", f"sqlite:///{home / 'db.sqlite3'}"), faults)
    values["blob_storage"] = _blob_storage(reader.json("BLOB_STORAGE", None), home)
    values["trusted_proxies"] = _networks("TRUSTED_PROXIES", reader.list("TRUSTED_PROXIES", []), faults)
    values["metrics_networks"] = _networks("METRICS_NETWORKS", reader.list("METRICS_NETWORKS", LOOPBACK), faults)
    values["page_cache_url"] = env_urls.page_cache(reader.str("PAGE_CACHE_URL", ""), faults)
    values |= _limits(reader, faults)
    values["mirror_keys"] = _mirror_keys(reader.list("MIRROR_KEYS", []), faults)
    faults += [
        f"{name.upper()}: {values[name]!r} is not a URL such as redis://host:6379/1."
        for name in ("cache_url", "broker_url")
        if not urlsplit(values[name]).scheme
    ]
    try:
        reader.seal()
    except EnvError as error:
        faults.append(str(error))
    if faults:
        raise ImproperlyConfigured("The environment cannot be used:\n  " + "\n  ".join(faults))
    return Env(**values)


def read_file(path: Path) -> dict[str, str]:
    """The values of a file of NAME=value lines; empty where there is no such file.

    Raises ImproperlyConfigured where a line means nothing: half of an installation's settings is not a working one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {error}.") from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise ImproperlyConfigured(f"{path}, line {binding.original.line}: this is not NAME=value.")
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value is not None}


def _database(url: str, faults: list[str]) -> dict[str, Any]:
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    except (ValueError, KeyError) as error:
        faults.append(f"DATABASE_URL: {error}")
        return {}
    if config.get("ENGINE") == "django.db.backends.sqlite3":
        # IMMEDIATE takes the write lock when a transaction begins: a later upgrade from read to write could only
        # fail, since SQLite does not wait in that case. WAL lets readers go on meanwhile.
        config["OPTIONS"] = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;",
        }
    elif config.get("ENGINE") == "django.db.backends.postgresql":
        config["ENGINE"] = "pkgindex.postgresql"
        config["OPTIONS"] = POSTGRES_OPTIONS | config.get("OPTIONS", {})
    return config


def _blob_storage(given: Any, home: Path) -> dict[str, Any]:
    if given:
        return dict(given)
    return {"BACKEND": "pkgindex.blobs.store.DurableFileStorage", "OPTIONS": {"location": str(home / "blobs")}}


def _mirror_keys(given: list[str], faults: list[str]) -> dict[str, str]:
    """`id:hex` pairs, the current key first, as mirror nodes read them too."""
    keys = {}
    for pair in given:
        ident, _, text = pair.strip().partition(":")
        if not ident or not LEAST_KEY.fullmatch(text) or len(text) % 2:
            faults.append("MIRROR_KEYS: write id:hex pairs with commas between, at least 64 hex digits each.")
            return {}
        keys[ident] = text
    return keys


def _limits(reader: Reader, faults: list[str]) -> dict[str, Any]:
    """Where limits are counted, and who hears of bans."""
    nodes, options = env_urls.cluster(reader.str("LIMITS_REDIS_CLUSTER", ""), faults)
    url = env_urls.redis("LIMITS_REDIS_URL", reader.str("LIMITS_REDIS_URL", ""), faults)
    if nodes and url:
        faults.append("LIMITS_REDIS_URL and LIMITS_REDIS_CLUSTER are both set: limits are counted in one place.")
    return {
        "limits_redis_url": url,
        "limits_cluster": nodes,
        "limits_cluster_options": options,
        "limits_mail_to": env_urls.addresses("LIMITS_MAIL_TO", reader.list("LIMITS_MAIL_TO", []), faults),
        "limits_webhooks": env_urls.webhooks(reader.list("LIMITS_WEBHOOKS", []), faults),
        "mail": env_urls.mail(reader.str("EMAIL_URL", "smtp://localhost"), faults),
        "mail_from": reader.str("DEFAULT_FROM_EMAIL", "pkgindex@localhost"),
    }


def _networks(name: str, given: list[str], faults: list[str]) -> tuple[Network, ...]:
    networks = []
    for text in given:
        try:
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError as error:
            faults.append(f"{name}: {error}")
    return tuple(networks)
