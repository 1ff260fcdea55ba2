"""`check_index` and `gc`: rows against bytes, and what can be put right."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pkgindex.audit.record import SYSTEM
from pkgindex.blobs import store
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index
from pkgindex.upload.folder import STORED, Importer
from tests.support import blobs
from tests.support.catalogue import add_wheel
from tests.support.distributions import sdist, wheel

pytestmark = pytest.mark.django_db

OLD = timedelta(days=2)


def run(command: str, *arguments: str) -> tuple[int, dict]:
    out = StringIO()
    try:
        call_command(command, "--json", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def bytes_of(sha256: str) -> Path:
    return Path(store.local_path(sha256))


def publish(index: Index, tmp_path: Path, filename: str, content: bytes) -> File:
    path = tmp_path / filename
    path.write_bytes(content)
    assert Importer(index.view(), None, SYSTEM).take(path).result == STORED
    return File.objects.get(filename=filename, index=index)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_sound_index(index):
    """Nothing is found; the exit code is 0, and what was just stored counts as in progress."""
    add_wheel(index)
    blobs.put(b"arriving")
    assert run("check_index") == (0, {"checked": 2, "left": 0, "findings": []})


def test_damage_is_found_and_named(index):
    """Missing, short and corrupt bytes are named with the files that suffer; nothing is changed without --repair."""
    first, second, third = (add_wheel(index, version=f"1.{n}") for n in range(3))
    bytes_of(first.blob_id).unlink()
    bytes_of(second.blob_id).write_bytes(b"short")
    flip(bytes_of(third.blob_id))

    code, told = run("check_index")

    assert code == 1
    assert {(one["kind"], one["what"], tuple(one["files"])) for one in told["findings"]} == {
        ("missing", first.blob_id, (first.filename,)),
        ("wrong size", second.blob_id, (second.filename,)),
        ("corrupt", third.blob_id, (third.filename,)),
    }
    code, told = run("check_index", "--fast")
    assert [one["kind"] for one in told["findings"] if one["what"] == third.blob_id] == []


@pytest.mark.parametrize("make", [wheel, lambda: sdist(core="2.2")], ids=["wheel", "sdist"])
@pytest.mark.parametrize("harm", [Path.unlink, flip], ids=["missing", "corrupt"])
def test_metadata_is_made_again(index, tmp_path, make, harm):
    """A lost or damaged `.metadata` comes back from its file, to the byte."""
    file = publish(index, tmp_path, *make())
    path = bytes_of(file.metadata_blob_id)
    before = path.read_bytes()
    harm(path)

    code, told = run("check_index", "--repair")

    assert (code, told["left"]) == (0, 0)
    assert told["findings"][0]["note"] == "made again from the file"
    assert path.read_bytes() == before
    assert run("check_index")[0] == 0


def test_lost_file_is_reported_and_never_delisted(index, tmp_path):
    """A listed file without bytes stays listed and unrepaired, and the same upload puts it right."""
    file = publish(index, tmp_path, *wheel())
    bytes_of(file.blob_id).unlink()

    code, told = run("check_index", "--repair")

    assert (code, told["left"]) == (1, 1)
    assert File.objects.filter(pk=file.pk).exists()
    Importer(index.view(), None, SYSTEM).take(tmp_path / file.filename)
    assert run("check_index")[0] == 0


def test_damaged_file_is_set_aside_and_can_be_uploaded_again(index, tmp_path):
    """Damaged bytes are moved, not deleted; then the same upload heals the file."""
    file = publish(index, tmp_path, *wheel())
    flip(bytes_of(file.blob_id))
    damaged = bytes_of(file.blob_id).read_bytes()

    code, told = run("check_index", "--repair")

    assert code == 1
    aside = Path(store.storage().path(f"damaged/{file.blob_id}"))
    assert str(aside) in told["findings"][0]["note"]
    assert aside.read_bytes() == damaged
    Importer(index.view(), None, SYSTEM).take(tmp_path / file.filename)
    assert run("check_index")[0] == 0


def test_both_lost_cannot_be_repaired(index, tmp_path):
    """Without the wheel its metadata cannot be made again; nothing is invented."""
    file = publish(index, tmp_path, *wheel())
    bytes_of(file.blob_id).unlink()
    bytes_of(file.metadata_blob_id).unlink()
    code, told = run("check_index", "--repair")
    assert (code, told["left"]) == (1, 2)
    assert not bytes_of(file.metadata_blob_id).exists()


def test_orphans_are_found_and_removed(index, settings):
    """Old rows without files, bytes without rows and unfinished files are findings that --repair removes."""
    from tests.blobs.test_gc import make_old, put

    file = add_wheel(index)
    Blob.objects.update(claimed_at=timezone.now() - OLD)
    row, rowless = put(b"row"), put(b"rowless")
    Blob.objects.filter(pk=rowless).delete()
    settings.SPOOL_DIR.mkdir(parents=True)
    spool = settings.SPOOL_DIR / "upload-x"
    spool.write_bytes(b"half")
    make_old(spool)

    code, told = run("check_index")
    assert code == 1
    assert {(one["kind"], one["what"]) for one in told["findings"]} == {
        ("orphan row", row),
        ("orphan bytes", rowless),
        ("unfinished file", str(spool)),
    }
    assert run("check_index", "--repair")[0] == 0
    assert run("check_index") == (0, {"checked": 2, "left": 0, "findings": []})
    assert store.is_whole(file.blob_id, file.size)


def test_one_index(index):
    """`--index` looks at that index alone."""
    other = Index.objects.create(slug="other")
    add_wheel(other, "elsewhere")
    file = add_wheel(index)
    bytes_of(file.blob_id).unlink()
    assert run("check_index", "--index", "other") == (0, {"checked": 2, "left": 0, "findings": []})
    assert run("check_index", "--index", "main")[0] == 1


def test_row_that_contradicts_its_blob(index):
    """A file row with another size than its blob is found: clients would be told a wrong size."""
    File.objects.filter(pk=add_wheel(index).pk).update(size=1)
    code, told = run("check_index", "--fast")
    assert (code, [one["kind"] for one in told["findings"]]) == (1, ["wrong row"])


def test_people_read_lines(index, capsys):
    """Without --json each finding is a line and the last line counts."""
    file = add_wheel(index)
    bytes_of(file.blob_id).unlink()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("check_index", stdout=out)
    assert out.getvalue().splitlines() == [
        f"FOUND missing {file.blob_id}: {file.filename}",
        "2 blobs checked byte by byte: 1 findings, 1 not repaired.",
    ]


def test_gc_command(index):
    """`gc` removes and tells; a grace time that could hit an upload in progress is refused."""
    from tests.blobs.test_gc import put

    put(b"nobody's")
    assert run("gc", "--dry-run")[1] == {"blobs": 1, "orphan_bytes": 0, "unfinished": 0, "size": 8, "dry_run": True}
    assert run("gc", "--grace-hours", "1")[1]["blobs"] == 1
    for hours in ("0", "0.5", "-1", "soon", "nan"):
        with pytest.raises(CommandError):
            call_command("gc", f"--grace-hours={hours}")


def test_unknown_index(index):
    """An index that is not is a sentence and exit code 2."""
    with pytest.raises(CommandError) as wrong:
        call_command("check_index", index="nowhere")
    assert wrong.value.returncode == 2
