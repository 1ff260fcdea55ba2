"""Many uploads at once, and a real server."""

import threading

import pytest
from django.db import connections

from pkgindex import storage
from pkgindex.accounts.whois import who_of_user
from pkgindex.audit.record import Actor
from pkgindex.catalog.models import File, Index
from pkgindex.upload.examine import examine
from pkgindex.upload.services import publish
from pkgindex.upload.spool import Spool
from pkgindex.upload.submission import Submission
from tests.storage.files import FILES, MIB, SIZE, used, user
from tests.support.distributions import form
from tests.support.live import LiveServer
from tests.support.uploads import Part, RawUpload, fields_of, multipart, upload_body
from throttling import plans

pytestmark = pytest.mark.django_db(transaction=True)


def test_room_for_five_lets_five_of_eight_in(index, people, plan):
    """Eight uploads of one user at once: exactly as many are published as fit, and the counter is exact."""
    plan("users", 5 * SIZE)
    plans.current()
    hands = [received(*file) for file in FILES[:8]]
    start = threading.Barrier(8)
    refused, published = [], []

    def one(hand) -> None:
        start.wait(20)
        try:
            who = who_of_user(people.uploader)
            publish(*hand, index.view(), who, Actor(people.uploader.pk, "uploader"))
            published.append(hand)
        except storage.StorageFull as error:
            refused.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one, args=[hand]) for hand in hands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(published), len(refused)) == (5, 3)
    assert File.objects.count() == 5
    assert used(**user(people.uploader)) == [5 * SIZE]
    assert storage.recount(pause=0) == 0


def received(filename: str, content: bytes):
    spool = Spool(1 << 30)
    spool.write(content)
    spooled = spool.finish()
    return examine(Submission.from_file(filename), spooled, Index.objects.get().view().policy), spooled


PATIENT = {"DJANGO_SETTINGS_MODULE": "tests.storage.patient_settings"}
PLANS = """
[plans.disk]
assign = ["users"]
[plans.disk.limits]
disk = "{size}B storage"
"""


def test_a_real_server_answers_before_the_body_and_at_the_end(tmp_path):
    """Two processes: the head alone is answered where nothing can fit, and eight at once get exactly what there is."""
    import httpx

    (tmp_path / "plans.toml").write_text(PLANS.format(size=3 * SIZE))
    with LiveServer(tmp_path / "live", workers=2, threads=4, more=PATIENT) as server:
        done = server.manage("limits", "apply", str(tmp_path / "plans.toml"))
        assert done.returncode == 0, done.stderr
        with RawUpload(server.port, auth=server.auth) as client:
            client.send_head(50 * MIB)
            status, reason, _ = client.read_answer()
        assert (status, reason.partition(":")[0]) == (400, "Storage limit 'disk' is reached")
        with RawUpload(server.port, auth=server.auth) as client:
            body = upload_body(*FILES[0])
            client.send_head(None)
            client.send(body)
            assert client.read_answer()[0] == 411

        statuses: list[int] = []
        start = threading.Barrier(8)

        def one(file: tuple[str, bytes]) -> None:
            filename, content = file
            start.wait(20)
            body = multipart([*fields_of(form(filename, content, version=filename.split("-")[1])),
                              Part("content", content, filename)])  # fmt: skip
            with httpx.Client(timeout=60) as http:
                kind = "multipart/form-data; boundary=----pkgindex0123456789abcdef"
                answer = http.post(
                    f"{server.url}/legacy/", content=body, headers={"Content-Type": kind}, auth=server.auth
                )
                statuses.append(answer.status_code)

        threads = [threading.Thread(target=one, args=[file]) for file in FILES[:8]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(statuses) == [200] * 3 + [400] * 5
        assert server.evaluate("File.objects.count()") == 3
        assert server.evaluate("Blob.objects.count()") == 6
        spool = server.directory / "spool"
        assert not spool.exists() or list(spool.iterdir()) == []
