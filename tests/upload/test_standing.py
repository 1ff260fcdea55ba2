"""What was judged before the transaction is judged again where it may no longer hold, and only there."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.models import File, JournalEntry, Project
from pkgindex.errors import ServiceError
from pkgindex.upload import standing as standing_module
from pkgindex.upload.services import publish
from pkgindex.upload.standing import Standing, stand
from tests.support.distributions import wheel
from tests.upload.test_services import received, upload

pytestmark = pytest.mark.django_db


def stood(index, hand) -> Standing:
    distribution, spooled = hand
    return stand(distribution.name, distribution.version, distribution.filename, spooled.sha256, index.view())


def quarantine(_index) -> None:
    catalogue.set_status(SYSTEM, None, Project.objects.get(), "quarantined")


def upload_other_bytes(index) -> None:
    upload(index, *wheel(version="1.1", description="other"))


def upload_and_remove_other_bytes(index) -> None:
    upload_other_bytes(index)
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename__contains="1.1"))


MEANWHILE = {
    "project_closed": quarantine,
    "file_exists": upload_other_bytes,
    "filename_retired": upload_and_remove_other_bytes,
}


@pytest.mark.parametrize("code", MEANWHILE)
def test_change_of_the_project_meanwhile_is_seen(index, code):
    """A standing that was looked up before such a change lets nothing through."""
    upload(index, *wheel())
    hand = received(*wheel(version="1.1"))
    standing = stood(index, hand)
    MEANWHILE[code](index)
    with pytest.raises(ServiceError) as caught:
        publish(*hand, index.view(), None, SYSTEM, standing=standing)
    assert caught.value.code == code
    assert not File.objects.filter(blob_id=hand[1].sha256).exists()


def test_file_that_goes_away_while_it_is_looked_up_is_gone(index, monkeypatch):
    """Its row was read and its release is no longer there: it counts as removed, and the change is seen at the end."""
    upload(index, *wheel())
    upload(index, *wheel(version="1.1"))
    hand = received(*wheel(version="1.1", description="other"))
    ask = standing_module.ask

    def ask_and_remove(*statements):
        found = ask(*statements)
        catalogue.delete_file(SYSTEM, None, File.objects.get(filename__contains="1.1"))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(standing_module, "ask", ask_and_remove)
        standing = stood(index, hand)
    assert standing.files == ()
    with pytest.raises(ServiceError) as caught:
        publish(*hand, index.view(), None, SYSTEM, standing=standing)
    assert caught.value.code == "filename_retired"


def test_project_that_was_created_meanwhile_is_used(index):
    """Two first versions at once make one project and one release."""
    hand = received(*wheel(tag="py3-none-win_amd64"))
    standing = stood(index, hand)
    upload(index, *wheel())
    assert publish(*hand, index.view(), None, SYSTEM, standing=standing).created
    assert Project.objects.get().releases.get().files.count() == 2


def test_same_file_meanwhile_is_no_second_one(index):
    """Whoever comes second finds it there."""
    hand = received(*wheel())
    standing = stood(index, hand)
    upload(index, *wheel())
    assert not publish(*hand, index.view(), None, SYSTEM, standing=standing).created
    assert JournalEntry.objects.count() == 2


def test_changes_of_other_projects_are_not_judged_by(index):
    """What is asked together with the journal tells that nothing of this project changed."""
    upload(index, *wheel())
    hands = [received(*wheel(version=version)) for version in ("1.1", "1.2")]
    costs = []
    for hand, other in zip(hands, ("", "other"), strict=True):
        standing = stood(index, hand)
        if other:
            upload(index, *wheel(other))
        with CaptureQueriesContext(connection) as queries:
            publish(*hand, index.view(), None, SYSTEM, standing=standing)
        costs.append(len(queries))
    assert costs[1] == costs[0]
