"""Every way in which an upload is refused: one table, whose parts are in `invalid/`."""

from collections.abc import Callable
from importlib import import_module

import pytest

from pkgindex.upload import errors
from pkgindex.upload.errors import InvalidUpload
from tests.support.spoiled import upload
from tests.upload.invalid.core_metadata import METADATA
from tests.upload.invalid.forms import FILENAMES, FORM
from tests.upload.invalid.tars import TARS
from tests.upload.invalid.wheels import WHEELS
from tests.upload.invalid.zips import ZIPS

ROWS = FORM + FILENAMES + ZIPS + WHEELS + TARS + METADATA


@pytest.fixture(scope="module")
def status_of() -> Callable[[InvalidUpload], int]:
    """The table of statuses; the URLs are loaded first, as in a running server, for REST framework's imports."""
    import_module("pkgindex.urls")
    return import_module("pkgindex.answers").status_of


@pytest.mark.parametrize("row", [pytest.param(row, id=row.title) for row in ROWS])
def test_refusal(tmp_path, row, status_of):
    """Each invalid upload is refused for its own reason, in one line that fits a reason phrase, and never by 409."""
    with pytest.raises(InvalidUpload) as refused:
        upload(tmp_path, row.filename, row.content, row.policy, **row.form)
    error = refused.value
    assert (error.code, row.words in error.sentence) == (row.code, True), (error.code, error.sentence)
    assert "\n" not in error.sentence
    assert error.sentence[-1] == "."
    assert status_of(error) in {400, 410}


def test_rows_have_names_of_their_own():
    """No row of the table hides another."""
    assert len({row.title for row in ROWS}) == len(ROWS)


def test_words_that_clients_look_for(status_of):
    """Sentences begin as PyPI's do where clients match them, and no other sentence can be read as "exists"."""
    assert errors.FileExists("a.whl").sentence.startswith("File already exists")
    assert errors.FilenameRetired().sentence.startswith(
        "This filename was previously used by a file that has since been deleted"
    )
    assert errors.FileTooLarge(5).sentence.startswith("File too large")
    assert errors.ZipRefused("x").sentence == "ZIP archive not accepted: x."
    assert "archived" in errors.ProjectClosed("a", "archived").sentence
    assert "older than 14 days" in errors.ReleaseClosed(14).sentence
    every = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, InvalidUpload)]
    assert len({cls.code for cls in every}) == len(every)
    assert all(status_of(cls.__new__(cls)) != 409 for cls in every)
