"""`import_files`: a folder of distributions comes in through the door's checks."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from pkgindex.accounts.models import Role
from pkgindex.catalog.models import File, JournalEntry
from pkgindex.upload import folder as importing
from tests.support.distributions import sdist, wheel

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path, index):
    """Two wheels, an sdist, something broken, something old, and files that are none of our business."""
    top = tmp_path / "wheels"
    (top / "deep" / "er").mkdir(parents=True)
    for place, (filename, content) in [
        (top, wheel("acme", "1.0")),
        (top / "deep", wheel("acme", "1.1")),
        (top / "deep" / "er", sdist("acme", "1.1")),
        (top, ("broken-1.0-py3-none-any.whl", b"PK not")),
        (top, ("old-1.0.egg", b"egg")),
        (top, ("README.md", b"hello")),
        (top, ("acme-1.0-py3-none-any.whl.metadata", b"Name: acme")),
    ]:
        (place / filename).write_bytes(content)
    (top / "dangling-1.0-py3-none-any.whl").symlink_to(top / "nowhere")
    return top


def run(*arguments: object) -> tuple[int, str]:
    """Exit code and what was printed."""
    out = StringIO()
    try:
        call_command("import_files", *map(str, arguments), stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def contents(top) -> dict:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in top.rglob("*") if path.is_file()}


def test_folder_comes_in(folder, settings):
    """What is sound is stored, what is not is named with the reason, and the folder is untouched."""
    before = contents(folder)

    code, told = run(folder, "--index", "main")

    assert code == 1
    assert set(File.objects.values_list("filename", flat=True)) == {
        "acme-1.0-py3-none-any.whl",
        "acme-1.1-py3-none-any.whl",
        "acme-1.1.tar.gz",
    }
    assert "3 stored, 0 already there, 2 refused." in told
    assert f"refused {folder}/broken-1.0-py3-none-any.whl: " in told
    assert f"refused {folder}/old-1.0.egg: Invalid file extension" in told
    assert contents(folder) == before
    assert list(settings.SPOOL_DIR.iterdir()) == []
    assert set(JournalEntry.objects.values_list("actor_label", flat=True)) == {"import_files"}


def test_repeating_creates_nothing_twice(folder):
    """The second run finds everything there."""
    run(folder)
    serials = JournalEntry.objects.count()
    code, told = run(folder, "--json")
    summary = json.loads(told)
    assert code == 1
    assert (summary["stored"], len(summary["already_there"]), len(summary["refused"])) == ([], 3, 2)
    assert {refusal["code"] for refusal in summary["refused"]} == {"invalid_zip", "invalid_filename"}
    assert JournalEntry.objects.count() == serials


def test_clean_folder_ends_with_zero(tmp_path, index):
    """Nothing refused: exit code 0, also for an empty folder."""
    assert run(tmp_path)[0] == 0
    filename, content = wheel()
    (tmp_path / filename).write_bytes(content)
    assert run(tmp_path)[0] == 0


def test_dry_run_stores_nothing(folder, settings):
    """A dry run says what would happen and leaves index and storage as they are."""
    code, told = run(folder, "--dry-run")
    assert code == 1
    assert "3 would be stored, 0 already there, 2 refused." in told
    assert not File.objects.exists()
    assert not JournalEntry.objects.exists()
    assert list(settings.SPOOL_DIR.iterdir()) == []


def test_user_brings_own_rights(folder, people):
    """`--user` publishes in that user's name and with that user's rights only."""
    code, told = run(folder, "--user", "reader")
    assert (code, File.objects.count()) == (1, 0)
    assert "The user 'reader' isn't allowed to upload to project 'acme'." in told

    run(folder, "--user", "uploader")
    assert set(File.objects.values_list("uploaded_by__username", flat=True)) == {"uploader"}
    assert Role.objects.get(project__isnull=False).user == people.uploader


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere"], "/nowhere is not a folder."),
        (["/tmp", "--index", "other"], "There is no index 'other'. There are: main."),
        (["/tmp", "--user", "nobody"], "There is no active user 'nobody'."),
    ],
)
def test_wrong_usage(index, arguments, sentence):
    """Wrong arguments are a sentence and exit code 2."""
    with pytest.raises(CommandError, match=sentence.replace("'", ".")) as wrong:
        call_command("import_files", *arguments)
    assert wrong.value.returncode == 2


def test_interrupt_prints_the_summary_so_far(folder, monkeypatch, settings):
    """Ctrl-C within a file publishes nothing of it, keeps those before, and says how far it came."""
    real, seen = importing.examine, []

    def interrupted(*arguments):
        seen.append(arguments)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(importing, "examine", interrupted)
    code, told = run(folder)
    assert code == 130
    assert "Interrupted: 2 files were not reached. Run it again to go on." in told
    assert File.objects.count() == 1
    assert list(settings.SPOOL_DIR.iterdir()) == []


def test_full_disk_is_told_for_each_file(folder, monkeypatch):
    """A failing storage is a reason like any other; the command goes on and says so."""

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(importing, "spool_copy", fail)
    code, told = run(folder)
    assert code == 1
    assert told.count("No space left on device") == 4
