"""Wrong in what the wheel holds."""

from tests.support import distributions as dist
from tests.support.spoiled import raw_zip, with_file
from tests.upload.invalid.row import wheel

WHEELS = [
    wheel("no members", "0 .dist-info", raw_zip([])),
    wheel("no dist-info", "0 .dist-info", dist.zip_of({"acme/__init__.py": b""})),
    wheel("two dist-info", "2 .dist-info", dist.zip_of(dist.wheel_members() | {"b-1.dist-info/METADATA": b""})),
    wheel(
        "dist-info of another",
        "does not match",
        dist.zip_of({n.replace("acme-", "other-"): d for n, d in dist.wheel_members().items()}),
    ),
    wheel(
        "dist-info of another version",
        "does not match",
        dist.zip_of({n.replace("-1.0.", "-1.1."): d for n, d in dist.wheel_members().items()}),
    ),
    wheel("no METADATA", "METADATA is missing", with_file("METADATA", None)),
    wheel("no WHEEL", "WHEEL is missing", with_file("WHEEL", None)),
    wheel("no RECORD", "RECORD is missing", with_file("RECORD", None)),
    wheel("no Wheel-Version", "no single Wheel-Version", with_file("WHEEL", b"Tag: py3-none-any\n")),
    wheel("Wheel-Version 2", "not supported", with_file("WHEEL", b"Wheel-Version: 2.0\n")),
    wheel("Wheel-Version twice", "no single", with_file("WHEEL", b"Wheel-Version: 1.0\nWheel-Version: 1.0\n")),
    wheel("RECORD not CSV", "not well-formed CSV", with_file("RECORD", b'"a"b,c\n')),
    wheel("RECORD not UTF-8", "not valid UTF-8", with_file("RECORD", b"\xff,,\n"), "invalid_zip"),
    wheel("RECORD of one line", "a line of more", with_file("RECORD", b"a" * (2 << 20)), "invalid_zip"),
    wheel("WHEEL of a megabyte", "is larger than", with_file("WHEEL", b"a" * (1 << 20)), "invalid_zip"),
    wheel("METADATA of 17 MiB", "is larger than", with_file("METADATA", bytes(17 << 20)), "invalid_zip"),
    wheel("entry points", "entry_points.txt is not well-formed", with_file("entry_points.txt", b"nonsense\n")),
    wheel("entry points not UTF-8", "not well-formed", with_file("entry_points.txt", b"[a]\nb=\xff\n")),
    wheel(
        "script that climbs",
        "names a script",
        with_file("entry_points.txt", b"[console_scripts]\n../../x = acme:main\n"),
    ),
]
