"""Plans with limits on storage, and uploads."""

import pytest

from tests.support.uploads import post, upload_body
from throttling import services
from throttling.models import Assignment, Limit, Plan


@pytest.fixture(autouse=True)
def _patient(settings):
    """The store may be slow on a busy machine: what is asserted here is what it decides, not when it is given up."""
    settings.THROTTLING = {**settings.THROTTLING, "TIMEOUT": 5.0}


@pytest.fixture
def plan(transactional_db):
    """Give a subject a limit on storage: `plan("users", 5000)`, with a scope of things as third."""

    def make(subject: str, size: int, scopes: str = "", **more) -> Limit:
        row = Plan(name=f"plan-{Plan.objects.count()}")
        services.save(row, actor="test")
        limit = Limit(plan=row, name=more.pop("name", "disk"), rate=f"{size}B storage", scopes=scopes, **more)
        services.save(limit, actor="test")
        services.save(Assignment(plan=row, subject=subject), actor="test")
        return limit

    return make


@pytest.fixture
def send(client, people, basic):
    """Upload a file as somebody and give the answer."""

    def make(file: tuple[str, bytes], user: str = "uploader", path: str = "/legacy/", **more):
        filename, content = file
        name, version = filename.split("-")[:2]
        body = upload_body(filename, content, name=name, version=version.removesuffix(".tar.gz"), **more)
        return post(client, path, body, **basic(user, f"{user}-password"))

    return make
