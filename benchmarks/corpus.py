"""The main job on real input: publish some 200 real wheels, then install them with this index as the only one.

    python benchmarks/corpus.py [--keep DIR] [--json]

fetches the wheels of a few well-known applications and of all they need from the package registry that pip is
configured for, starts the product on an empty data directory, publishes every wheel with twine, and installs all
of them with `pip` and with `uv` into empty environments that know no other index. `--keep DIR` keeps the wheels
for the next run. Exits with 1 where a wheel was refused or an installation failed.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
APPLICATIONS = ["django", "jupyterlab", "pandas", "boto3", "fastapi[standard]"]
# What an organisation's index also holds: compiled wheels of several sizes, old metadata, odd names.
FURTHER = [
    "scikit-learn", "matplotlib", "sqlalchemy", "celery[redis]", "sphinx", "pytest", "mypy", "black", "poetry-core",
    "setuptools", "wheel", "flask", "lxml", "grpcio", "protobuf", "pyarrow", "polars", "ruff", "twine", "ansible-core",
    "zope.interface", "ruamel.yaml", "jaraco.context", "backports.tarfile", "python-dateutil", "psycopg[binary]",
    "django-redis", "djangorestframework", "gunicorn", "gevent", "streamlit", "dask[complete]", "scrapy", "airium",
]  # fmt: skip
START_SECONDS = 90
BATCH = 20  # wheels in one call of twine


def main() -> int:
    """Run all steps and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep the fetched wheels in this folder and use what is there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        work = Path(name)
        wheels = (options.keep or work / "wheels").resolve()
        fetch(wheels)
        with product(work / "data") as credentials:
            result = publish(wheels, credentials)
            result["pip install"] = install(work / "pip", credentials, ["-m", "pip", "install"])
            result["uv pip install"] = install(work / "uv", credentials, None)
    report(result, as_json=options.json)
    return 0 if not result["refused"] and result["pip install"] and result["uv pip install"] else 1


def fetch(wheels: Path) -> None:
    """Download every wheel once."""
    wheels.mkdir(parents=True, exist_ok=True)
    if not any(wheels.glob("*.whl")):
        say("Fetching wheels (a few minutes) ...")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", str(wheels)]
        subprocess.run([*command, *APPLICATIONS, *FURTHER], check=True)  # noqa: S603  (a fixed command)


@contextlib.contextmanager
def product(data: Path) -> Iterator[dict[str, str]]:
    """The product as a newcomer starts it; yields what `credentials.json` says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--data", str(data), "--port", str(port)]
    log = data.parent / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)  # noqa: S603  (a fixed command)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, log)
        yield json.loads((data / "credentials.json").read_text())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310  (our own server)
            return
        time.sleep(0.5)
    sys.exit(f"the product did not start:\n{log.read_text()[-3000:]}")


def publish(wheels: Path, credentials: dict[str, str]) -> dict[str, object]:
    """Publish every wheel; where twine fails for a batch, one by one, so that a refusal is known by name."""
    refused: dict[str, str] = {}
    paths = sorted(wheels.glob("*.whl"))
    begun = time.monotonic()
    with tqdm(total=len(paths), desc="publishing", unit="wheel", disable=not sys.stderr.isatty()) as bar:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            if _upload(batch, credentials) is not None:
                faults = {path.name: _upload([path], credentials) for path in batch}
                refused |= {name: fault for name, fault in faults.items() if fault is not None}
            bar.update(len(batch))
    return {
        "wheels": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "refused": refused,
        "publish seconds": round(time.monotonic() - begun, 1),
    }


def _upload(paths: list[Path], credentials: dict[str, str]) -> str | None:
    """Upload with twine (uv would silently skip file names in an older spelling); what went wrong, or None."""
    command = [uv(), "tool", "run", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
    command += ["--repository-url", f"{credentials['url']}/legacy/", "--username", "__token__"]
    secret = {"TWINE_PASSWORD": credentials["token"]}
    done = subprocess.run(  # noqa: S603  (a fixed command)
        [*command, *map(str, paths)], env=os.environ | secret, capture_output=True, text=True, check=False
    )
    return " ".join((done.stdout + done.stderr).split()) if done.returncode else None


def install(home: Path, credentials: dict[str, str], pip: list[str] | None) -> float | None:
    """Resolve and install everything from this index alone; seconds, or None where it failed."""
    say(f"Installing with {'pip' if pip else 'uv'} ...")
    subprocess.run([uv(), "venv", "--quiet", "--seed", "--python", sys.executable, str(home)], check=True)  # noqa: S603
    python = str(home / "bin" / "python")
    scheme, rest = credentials["url"].split("://", 1)
    url = f"{scheme}://__token__:{credentials['token']}@{rest}/simple/"
    command = [python, *pip, "--quiet", "--no-cache-dir"] if pip else [uv(), "pip", "install", "--python", python]
    command += ["--index-url", url, "--only-binary", ":all:", *APPLICATIONS, *FURTHER]
    if not pip:
        command += ["--no-cache"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    begun = time.monotonic()
    done = subprocess.run(  # noqa: S603  (a fixed command)
        command, env=clean | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        say(done.stderr[-3000:])
        return None
    return round(time.monotonic() - begun, 1)


def report(result: dict[str, object], *, as_json: bool) -> None:
    """Print the outcome."""
    if as_json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:>16}: {value}")


def uv() -> str:
    """The uv program: beside this interpreter, else on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return found or sys.exit("uv is not installed: `make venv` brings it.")


def say(text: str) -> None:
    """Progress for people, apart from the result."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
