"""The budget of a large project: new bytes within a second of a change."""

import hashlib
import time

import pytest
from django.utils import timezone

from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index, Release
from tests.support.catalogue import add_wheel

FILES, RELEASES = 40_000, 2_000


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
def test_page_of_forty_thousand_files(client):
    """After a change of such a project each form is built in less than a second of this thread's time, then hit."""
    index = Index.objects.create(slug="open", is_default=True, visibility="public")
    _fill(index)

    for number, accept in enumerate(["application/vnd.pypi.simple.v1+json", "text/html"]):
        headers = {"HTTP_ACCEPT": accept, "HTTP_ACCEPT_ENCODING": "gzip"}
        client.get("/simple/acme/", **headers)
        add_wheel(index, version=f"3.{number}")
        began = time.thread_time()
        built = client.get("/simple/acme/", **headers)
        assert time.thread_time() - began < 1.0
        began = time.thread_time()
        assert client.get("/simple/acme/", **headers).content == built.content
        assert time.thread_time() - began < 0.1


def _fill(index: Index) -> None:
    project, now = add_wheel(index).release.project, timezone.now()
    releases = Release.objects.bulk_create(
        [Release(project=project, version=f"2.{n}", canonical_version=f"2.{n}") for n in range(RELEASES)]
    )
    digests = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(FILES)]
    Blob.objects.bulk_create([Blob(sha256=d, size=5, claimed_at=now) for d in digests], batch_size=5_000)
    files = [
        File(
            index=index,
            release=releases[n % RELEASES],
            filename=f"acme-2.{n % RELEASES}-cp3{n // RELEASES}-abi3-manylinux_2_17_x86_64.whl",
            packagetype="bdist_wheel",
            python_version="py3",
            requires_python=">=3.9",
            blob_id=digest,
            metadata_blob_id=digest,
            size=5,
            md5="a" * 32,
            blake2b="b" * 64,
            uploaded_at=now,
        )
        for n, digest in enumerate(digests)
    ]
    File.objects.bulk_create(files, batch_size=5_000)
