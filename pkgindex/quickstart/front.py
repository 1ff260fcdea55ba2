"""The nginx that `up --nginx` puts in front: the configuration that we ship, with this installation's places in it."""

import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import CommandError

from pkgindex.env import ROOT
from pkgindex.quickstart.private import CERTIFICATE, write_private

SHIPPED = ROOT / "deploy" / "nginx" / "pkgindex.conf"
TLS_DAYS = 825  # what browsers still take
SECONDS = 60
# What openssl makes by itself is a certificate authority, and uv believes none that is a server as well.
REQUEST = """[req]
distinguished_name = name
x509_extensions = server
prompt = no
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
"""
LONGEST_SOCKET = 100  # characters; the kernel's limit is 107
# What the web processes must know. Not HTTPS_ONLY: browsers would refuse http://localhost for a year.
ENVIRONMENT = {"TRUSTED_PROXIES": "127.0.0.1", "ACCEL_REDIRECT_PREFIX": "/blobs/"}


@dataclass(frozen=True, slots=True)
class Front:
    """Where nginx listens, and whether with TLS."""

    directory: Path  # of the data
    listen: str  # host:port
    tls: bool

    @property
    def socket(self) -> str:
        """What gunicorn listens on, as both write it. Raises CommandError where no socket can be there."""
        path = str(self.directory / "web.sock")
        if len(path) > LONGEST_SOCKET:
            raise CommandError(f"The path of the data directory is too long for a socket in it: {self.directory}")
        return f"unix:{path}"

    def command(self) -> list[str]:
        """Write nginx's configuration and return what starts it. Raises CommandError where it cannot run."""
        nginx, _ = _program("nginx"), self.socket
        folder = self.directory / "nginx"
        folder.mkdir(mode=0o700, exist_ok=True)
        secure = _secure(nginx, self._certificate()) if self.tls else ""
        write_private(folder / "nginx.conf", self._configuration(folder, secure))
        words = [nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        checked = subprocess.run([*words, "-t", "-q"], capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - ours
        if checked.returncode:
            raise CommandError(f"nginx does not take its configuration: {checked.stderr.strip()[-500:]}")
        return words

    def _configuration(self, folder: Path, secure: str) -> str:
        # Not `reuseport`: another nginx on this port must be an error.
        text = _replaced(SHIPPED.read_text(encoding="utf-8"), {
            "server unix:/run/pkgindex/web.sock;": f"server {self.socket};",
            "listen 8080 reuseport;": f"listen {self.listen}{secure or ';'}",
            "alias /srv/pkgindex/blobs/;": f'alias "{self.directory}/blobs/";',
        })  # fmt: skip
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};\n" if os.getuid() == 0 else ""
        spools = "".join(f'{kind}_temp_path "{folder}/{kind}";\n' for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        return (
            f'{user}daemon off;\nworker_processes 2;\npid "{folder}/pid";\nerror_log stderr warn;\nevents {{}}\n'
            f'http {{\naccess_log off;\nclient_body_temp_path "{folder}/body";\n{spools}{text}}}\n'
        )

    def _certificate(self) -> Path:
        """A certificate for this machine's own names that nobody has signed, made once."""
        path = self.directory / CERTIFICATE
        if not path.exists():
            wanted = path.with_name("openssl.cnf")
            write_private(wanted, REQUEST)
            command = [_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            command += ["-nodes", "-days", str(TLS_DAYS), "-config", str(wanted), "-keyout", "-", "-out", "-"]
            made = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - ours
            if made.returncode:
                raise CommandError(f"openssl makes no certificate: {made.stderr.strip()[-500:]}")
            write_private(path, made.stdout)
        return path


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise CommandError(f"There is no {name} on PATH; install it.")
    return found


def _secure(nginx: str, certificate: Path) -> str:
    """The end of the `listen` line with HTTP/2 and the certificate, in the spelling of this nginx."""
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=SECONDS, check=False).stderr  # noqa: S603 - ours
    version = tuple(map(int, re.findall(r"\d+", said)[:3]))
    http2 = " ssl;\n    http2 on;" if version >= (1, 25, 1) else " ssl http2;"
    return f'{http2}\n    ssl_certificate "{certificate}";\n    ssl_certificate_key "{certificate}";'


def _replaced(text: str, changes: dict[str, str]) -> str:
    for before, after in changes.items():
        if before not in text:
            raise CommandError(f"{SHIPPED} was changed: it has no line '{before}'.")
        text = text.replace(before, after)
    return text
