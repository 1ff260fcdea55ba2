"""Run the suite of one app without the product: `python -m tests.standalone APP [pytest arguments]`.

`APP` is throttling or balancing: tests in `tests/APP`, settings in `tests.standalone.APP_settings`.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Start Redis, then pytest with this folder's configuration and without the product's conftest."""
    if len(sys.argv) < 2 or not (ROOT / "tests" / sys.argv[1]).is_dir():
        print(__doc__)
        return 2
    app, more = sys.argv[1], sys.argv[2:]
    os.environ["STANDALONE_APP"] = app
    import pytest

    folder = str(ROOT / "tests" / app)
    paths = [word for word in more if not word.startswith("-") and (ROOT / word.split("::")[0]).exists()]
    return int(
        pytest.main(
            ["-c", str(ROOT / "tests/standalone/pytest.ini"), f"--rootdir={ROOT}", f"--confcutdir={folder}", *more]
            + ([] if paths else [folder])
        )
    )


if __name__ == "__main__":
    sys.exit(main())
