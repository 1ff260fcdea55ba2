"""Where the time of small uploads goes: `python -m benchmarks.suite.upload_profile USER TOKEN` prints steps as JSON.

Run with the environment of an installation. Uploads go through the whole application in one process, without the
server and the network, under a profiler that sums each function's own time; functions are put together into steps.
"""

import base64
import cProfile
import json
import os
import pstats
import re
import sys

COUNT, WARM = 100, 10
STEPS = (  # the first that matches "file:function" wins
    ("fsync: waiting for the disk", r"fsync|fdatasync"),
    ("SQL in the database driver", r"sqlite3|psycopg"),
    ("Django's ORM", r"django/db/"),
    ("round trips to Redis", r"redis|socket"),
    ("reading the archive", r"zipfile|zlib|upload/archive|upload/metadata|packaging/|email/|upload/rules|hashlib"),
    ("reading the form", r"multipart|uploadhandler|http/request|upload/request"),
    ("opening, renaming and closing files", r"posix\.|pathlib|io\.open|blobs/|tempfile|_io\."),
    ("limits", r"throttl"),
    ("the catalogue", r"catalog/|pkgindex/"),
)


def main() -> None:
    """Upload, profile, print."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pkgindex.settings")
    import django  # noqa: PLC0415 - the environment is set above

    django.setup()
    from django.test import Client  # noqa: PLC0415 - Django is set up

    from tests.support.distributions import form, wheel  # noqa: PLC0415 - as above
    from tests.support.uploads import KIND, upload_body  # noqa: PLC0415 - as above

    secret = base64.b64encode(":".join(sys.argv[1:3]).encode()).decode()
    client = Client(headers={"authorization": f"Basic {secret}", "host": "127.0.0.1"})
    profile = cProfile.Profile()
    for number in range(WARM + COUNT):
        filename, content = wheel(f"profiled-{number % 10}", f"1.{number}")
        fields = form(filename, content, f"profiled-{number % 10}", f"1.{number}")
        del fields
        body = upload_body(filename, content, name=f"profiled-{number % 10}", version=f"1.{number}")
        if number >= WARM:
            profile.enable()
        answer = client.post("/legacy/", body, content_type=KIND)
        profile.disable()
        if answer.status_code != 200:
            sys.exit(f"upload answered {answer.status_code}: {answer.content[:200]!r}")
    print(json.dumps(steps(pstats.Stats(profile))))


def steps(stats: pstats.Stats) -> list[tuple[str, float]]:
    """Steps with their share of the time, the largest first."""
    sums: dict[str, float] = {}
    for (file, _line, function), (_calls, _own_calls, own, _sum, _callers) in stats.stats.items():  # type: ignore[attr-defined] # it has it
        place = f"{file}:{function}"
        step = next((name for name, pattern in STEPS if re.search(pattern, place)), "everything else")
        sums[step] = sums.get(step, 0.0) + own
    total = sum(sums.values()) or 1.0
    return sorted(((name, own / total) for name, own in sums.items()), key=lambda pair: -pair[1])


if __name__ == "__main__":
    main()
