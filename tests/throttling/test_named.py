"""Names for subjects, as a project gives them."""

import pytest

from throttling import named
from throttling.subjects import SubjectError


class People:
    """Alice is 42; nobody else has a name."""

    def id_of(self, kind, name):
        return "42" if (kind, name) == ("user", "alice") else None

    def names_of(self, kind, ids):
        return {ident: "alice" for ident in ids if kind == "user" and ident == "42"}


@pytest.fixture
def people(settings):
    settings.THROTTLING = {**getattr(settings, "THROTTLING", {}), "NAMES": "tests.throttling.test_named.People"}


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("user:alice", "user:42"),
        (" user:alice ", "user:42"),
        ("user:42", "user:42"),
        ("user:7", "user:7"),
        ("anon", "anon"),
        ("net:10.0.0.1/8", "net:10.0.0.0/8"),
        ("key:alice", "key:alice"),
    ],
)
def test_names_become_ids(people, text, subject):
    """What is an id, or no person, stays as it is."""
    assert named.resolve(text) == subject


@pytest.mark.parametrize("text", ["user:bob", "group:alice", "token:alice", "user:", "robot:1"])
def test_nobody_is_an_error(people, text):
    """A sentence says who is unknown."""
    with pytest.raises(SubjectError):
        named.resolve(text)


def test_labels_name_who_is_known(people):
    """Others stay as they are, each subject once."""
    found = named.labels(["user:42", "user:7", "anon", "user:42", "group:42"])

    assert found == {"user:42": "user:42 (alice)", "user:7": "user:7", "anon": "anon", "group:42": "group:42"}


def test_without_names_ids_are_text():
    """A project that says nothing may use any ids."""
    assert named.resolve("user:alice") == "user:alice"
    assert named.labels(["user:alice"]) == {"user:alice": "user:alice"}
