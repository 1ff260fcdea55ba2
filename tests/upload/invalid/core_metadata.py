"""Wrong in METADATA or PKG-INFO."""

from tests.support import distributions as dist
from tests.support.spoiled import wheel_with_metadata
from tests.upload.invalid.row import LIKE_PYPI, Row, meta

METADATA = [
    Row("metadata empty", "invalid_metadata", "'' is not a valid metadata version", wheel_with_metadata(b"")),
    Row("metadata of NUL bytes", "invalid_metadata", "not a valid metadata version", wheel_with_metadata(bytes(5000))),
    meta("metadata version 9", "'9.0' is not a valid metadata version", core="9.0"),
    Row("metadata without name", "invalid_metadata", "'name'", wheel_with_metadata(b"Metadata-Version: 2.1")),
    Row(
        "metadata with a bad name",
        "invalid_metadata",
        "invalid for 'name'",
        wheel_with_metadata(dist.metadata("-acme")),
    ),
    Row(
        "metadata with a bad version",
        "invalid_metadata",
        "invalid for 'version'",
        wheel_with_metadata(dist.metadata("acme", "one")),
    ),
    meta("name twice", "name is given more than once", "Name: acme"),
    meta("Requires-Python twice", "requires-python is given", "Requires-Python: >=3", "Requires-Python: >=4"),
    meta("Requires-Python", "'requires-python'", "Requires-Python: three"),
    meta("endless Requires-Python", "requires-python is longer", "Requires-Python: " + ",".join([">=3.1"] * 200)),
    meta("Requires-Dist", "'requires-dist'", "Requires-Dist: not a requirement!"),
    meta("endless Requires-Dist", "requires-dist is longer", "Requires-Dist: a>=" + "1." * 6000 + "0"),
    meta("deep marker", "nested too deeply", "Requires-Dist: a; " + "(" * 4000 + "os_name=='x'" + ")" * 4000),
    meta("Provides-Extra", "'provides-extra'", "Provides-Extra: a b"),
    meta("long summary", "512 characters", "Summary: " + "a" * 513),
    meta("summary of two lines", "single line", "Summary: a\n  b"),
    meta("content type", "description-content-type", "Description-Content-Type: text/html"),
    meta("charset", "UTF-8", "Description-Content-Type: text/markdown; charset=latin-1"),
    meta("both licences", "mutually exclusive", "License: MIT", "License-Expression: MIT", core="2.4"),
    meta("licence expression", "license-expression", "License-Expression: Mine", core="2.4"),
    meta("licence file missing", "does not exist", "License-File: LICENSE", core="2.4"),
    meta("licence file climbs", "license-file", "License-File: ../LICENSE", core="2.4"),
    meta("dynamic name", "dynamic", "Dynamic: Name", core="2.2"),
    meta("import name", "import-name", "Import-Name: a-b", core="2.5"),
    meta("script for a home page", "not a valid url", "Home-page: javascript:alert(1)"),
    meta("script for a project URL", "not a valid url", "Project-URL: Home, java\tscript:alert(1)"),
    meta("too many fields", "too many fields", *(f"X-{i}: y" for i in range(300))),
    meta("too many of one field", "too many fields", *(["Platform: x"] * 20_001)),
    meta("headers of 3 MiB", "too long ones", "License: " + "a" * (3 << 20)),
    meta("NUL in a field", "not text", "Author: a\0b"),
    meta("direct reference", "direct dependency", "Requires-Dist: a @ https://example.org/a.whl",
         code="direct_reference", policy=LIKE_PYPI),
    meta("unknown classifier", "not a valid classifier", "Classifier: Made :: Up", code="invalid_classifier",
         policy=LIKE_PYPI),
    meta("deprecated classifier", "deprecated", "Classifier: Natural Language :: Ukranian", code="invalid_classifier",
         policy=LIKE_PYPI),
]  # fmt: skip
