"""Names that survive a power cut: which folders are synced, and when."""

from pathlib import Path

import pytest

from pkgindex.blobs import files


@pytest.fixture
def synced(monkeypatch) -> list[Path]:
    """The folders that are synced, and a process that has seen none so far."""
    seen: list[Path] = []
    monkeypatch.setattr(files, "_settled", set())
    monkeypatch.setattr(files, "sync_directory", seen.append)
    return seen


def put(top: Path, name: str, place: str) -> Path:
    """Move a new file to its place below `top`."""
    source, target = top.parent / f"new-{name}", top / place / name
    source.write_bytes(b"x")
    files.move_durably([(source, target)], top, top.parent / "tmp")
    return target


def test_new_folders_and_their_parents_are_synced(tmp_path, synced):
    """Each name on the way is in a folder that was synced after it got there."""
    target = put(tmp_path / "top", "one", "ab/cd")

    assert target.read_bytes() == b"x"
    assert set(synced) == {tmp_path, tmp_path / "top", tmp_path / "top/ab", tmp_path / "top/ab/cd"}


def test_folder_of_another_upload_is_not_trusted_at_once(tmp_path, synced):
    """It may have been made a moment ago, and not be on the disk yet; afterwards it is."""
    top = tmp_path / "top"
    (top / "ab" / "cd").mkdir(parents=True)
    put(top, "one", "ab/cd")
    first = set(synced)
    synced.clear()
    put(top, "two", "ab/cd")

    assert first == {tmp_path, top, top / "ab", top / "ab/cd"}
    assert synced == [top / "ab/cd", top / "ab"]


def test_last_folders_do_not_push_out_those_above(tmp_path, synced):
    """Each upload makes last folders, which hardly any other meets; those above are met all the time."""
    top = tmp_path / "top"
    for number in range(files.MOST_SETTLED + 10):
        put(top, "one", f"ab/{number}")

    assert synced.count(top) == 1


def test_old_folders_cost_nothing(tmp_path, synced, monkeypatch):
    """What nobody has changed for a minute is on the disk."""
    monkeypatch.setattr(files, "SETTLING", 0.0)
    top = tmp_path / "top"
    (top / "ab" / "cd").mkdir(parents=True)
    put(top, "one", "ab/cd")

    assert synced == [top / "ab/cd"]


def test_folder_that_was_removed_is_made_again(tmp_path, synced):
    """Also one that this process has seen."""
    top = tmp_path / "top"
    put(top, "one", "ab/cd").unlink()
    (top / "ab" / "cd").rmdir()
    synced.clear()

    assert put(top, "two", "ab/cd").exists()
    assert set(synced) == {top / "ab", top / "ab/cd"}


def test_what_is_remembered_has_a_bound(tmp_path, synced):
    """Folders come and go for ever."""
    for number in range(files.MOST_SETTLED + 10):
        put(tmp_path / "top", "one", f"{number}/ab")

    assert 0 < len(files._settled) <= files.MOST_SETTLED + 3
