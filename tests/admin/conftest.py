"""Staff of every kind, and many rows."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from pkgindex.accounts.models import User
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index, Project, Release


@pytest.fixture
def root(client, admin_user) -> Client:
    """A browser of a superuser."""
    client.force_login(admin_user)
    return client


@pytest.fixture
def staff(db) -> Callable[..., Client]:
    """Make a browser of a staff user who holds just these permissions, such as `view_file`."""

    def make(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        browser = Client()
        browser.force_login(user)
        return browser

    return make


@pytest.fixture
def many() -> Callable[[Index, int], None]:
    """Add that many projects with one release and one file each, past the journal: rows to be listed."""

    def make(index: Index, count: int) -> None:
        first = Project.objects.count()
        blob = Blob.objects.get_or_create(sha256="ab" * 32, defaults={"size": 1, "claimed_at": timezone.now()})[0]
        numbers = range(first, first + count)
        projects = Project.objects.bulk_create(
            [Project(index=index, name=f"p{n}", normalized_name=f"p{n}") for n in numbers], batch_size=500
        )
        releases = Release.objects.bulk_create(
            [Release(project=p, version="1.0", canonical_version="1", description="x" * 100) for p in projects],
            batch_size=500,
        )
        File.objects.bulk_create(
            [
                File(
                    index=index,
                    release=release,
                    filename=f"{release.project.name}-1.0-py3-none-any.whl",
                    packagetype="bdist_wheel",
                    python_version="py3",
                    blob=blob,
                    size=10,
                    md5="0" * 32,
                    blake2b="0" * 64,
                    uploaded_at=timezone.now(),
                )
                for release in releases
            ],
            batch_size=500,
        )

    return make
