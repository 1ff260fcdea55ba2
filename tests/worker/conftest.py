"""One server for the tests that leave it as it was."""

import pytest

from tests.worker.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Our worker."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "sent").write_bytes(bytes(range(256)) * 80_000)  # 20 MB
    more = {"SENT_FILE": str(folder / "sent"), "CLOSED_LOG": str(folder / "closed")}
    with Served(folder, options=("--keep-alive", "30"), more=more) as running:
        yield running
