# ruff: noqa: D102 - the base class says what each method does
"""nginx over static files: what no application can beat."""

import gzip
import hashlib
import json
import os
import pwd
import shutil
import zipfile
from pathlib import Path

from benchmarks.suite.contestant import Contestant, World
from benchmarks.suite.servers import Server, clean_environment, free_port

HTML, JSON = "text/html", "application/vnd.pypi.simple.v1+json"
CONFIGURATION = """\
{user} daemon off; worker_processes 2; pid {home}/pid; error_log {home}/error.log; events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  map $http_accept $kind {{ default index.html; "~json" index.json; }}
  types {{ text/html html; application/vnd.pypi.simple.v1+json json; }}
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port}; root {home}/www; gzip_static on;
    location /simple/ {{ rewrite /$ $uri$kind last; }}
    location ~ /index\\.(html|json)$ {{ add_header Cache-Control "max-age=0, must-revalidate"; }}
    location /packages/ {{ }}
  }}
}}
"""


class Static(Contestant):
    """Pages and their gzip written beforehand, with hashes and metadata; files by sendfile; nobody is asked."""

    name = "nginx"
    what = (
        "nginx over static files (pages and their gzip written beforehand, sendfile), no passwords and no limits; "
        "pages are to be asked for again, as ours are: else uv would not see an upload for ten minutes, and ask nothing"
    )
    listings = True

    def start(self, world: World) -> None:
        if shutil.which("nginx") is None:
            raise RuntimeError("nginx is not on PATH")
        www = world.home / "www"
        world.corpus.copy_into(www / "packages")
        for name, paths in world.corpus.projects.items():
            write_page(www / "simple" / name, name, [entry(name, path, www) for path in paths])
        for name, count in world.corpus.huge.items():
            write_page(www / "simple" / name, name, [invented(name, number) for number in range(count)])
        for index, count in world.corpus.roots.items():
            write_root(www / "simple" / index, count)
        self.port = free_port()
        user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
        conf = world.home / "nginx.conf"
        conf.write_text(CONFIGURATION.format(user=user, home=world.home, port=self.port))
        command = ["nginx", "-p", world.home, "-c", conf]
        self.servers.append(Server(command, self.port, world.home / "log", clean_environment()).wait())

    def page_url(self, project: str, index: str = "") -> str:
        return f"{self.url}/simple/{index}/" if index else super().page_url(project)


def entry(project: str, path: Path, www: Path) -> dict[str, object]:
    """A file of a page; leaves its metadata beside it (PEP 658)."""
    with zipfile.ZipFile(path) as archive:
        metadata = next(archive.read(name) for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    (www / "packages" / project / f"{path.name}.metadata").write_bytes(metadata)
    return {
        "filename": path.name,
        "url": f"/packages/{project}/{path.name}",
        "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()},
        "size": path.stat().st_size,
    }


def invented(project: str, number: int) -> dict[str, object]:
    """A file of a listing that has no bytes."""
    digest = hashlib.sha256(f"{project} {number}".encode()).hexdigest()
    name = f"{project.replace('-', '_')}-1.{number}-py3-none-any.whl"
    return {
        "filename": name,
        "url": f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{name}",
        "hashes": {"sha256": digest},
        "core-metadata": {"sha256": digest},
        "size": 2_000,
    }


def write_page(folder: Path, name: str, files: list[dict[str, object]]) -> None:
    """A project's page in both forms."""
    anchors = "".join(
        f'<a href="{file["url"]}#sha256={file["hashes"]["sha256"]}" '  # type: ignore[index] # of a dict above
        f'data-core-metadata="sha256={file["core-metadata"]["sha256"]}">{file["filename"]}</a><br>\n'  # type: ignore[index] # as above
        for file in files
    )
    page = {"meta": {"api-version": "1.1"}, "name": name, "versions": [], "files": files}
    _write(folder, f"<!DOCTYPE html><html><head><title>{name}</title></head><body>\n{anchors}</body></html>\n", page)


def write_root(folder: Path, count: int) -> None:
    """A list of that many names in both forms."""
    names = [f"project-{number}" for number in range(count)]
    anchors = "".join(f'<a href="/simple/{name}/">{name}</a><br>\n' for name in names)
    page = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    _write(folder, f"<!DOCTYPE html><html><body>\n{anchors}</body></html>\n", page)


def _write(folder: Path, html: str, page: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("index.html", html), ("index.json", json.dumps(page, separators=(",", ":")))):
        (folder / name).write_text(text)
        (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode(), 6))
