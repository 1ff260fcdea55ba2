"""One server for the tests that leave it as it was, and one of two workers for those that do not."""

import pytest

from tests.worker.asking import OPTIONS
from tests.worker.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Our worker."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "sent").write_bytes(bytes(range(256)) * 80_000)  # 20 MB
    more = {"SENT_FILE": str(folder / "sent"), "CLOSED_LOG": str(folder / "closed")}
    with Served(folder, options=("--keep-alive", "30"), more=more) as running:
        yield running


@pytest.fixture
def own(tmp_path):
    """Two workers."""
    with Served(tmp_path, OPTIONS) as served:
        served.wait_for_workers(2)
        yield served
