"""Statements that are compiled once: the same as the ORM's, whatever the values."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from pkgindex.accounts.models import Token
from pkgindex.audit.models import AuditEntry
from pkgindex.blobs.models import Blob
from pkgindex.catalog.models import File, Index, Project, Release
from pkgindex.prepared import Insert, Objects, Select, Update, ask, run

pytestmark = pytest.mark.django_db
AWKWARD = ["plain", "it's", "100%", "%s", 'a "b"', "\u00e4\U0001f600", "", "a sample"]


@pytest.fixture
def projects(index) -> list[Project]:
    """A project for each awkward text."""
    return [
        Project.objects.create(index=index, name=text, normalized_name=f"p{number}")
        for number, text in enumerate(AWKWARD)
    ]


@pytest.mark.parametrize("text", AWKWARD)
def test_select_finds_what_the_orm_finds(projects, index, text):
    """Values may be anything, also the sample itself."""
    by_name = Select(
        lambda index, name: Project.objects.filter(index_id=index, name=name, status="active").values_list("pk"),
        987_654,
        "a sample",
    )

    for _ in range(2):
        assert by_name(index.pk, text) == list(Project.objects.filter(name=text).values_list("pk"))
    assert by_name(index.pk + 1, text) == []


def test_select_gives_values_as_models_have_them(index, people):
    """Dates with their zone, JSON, and None."""
    Token.objects.create(user=people.owner, name="a", digest="1" * 64, scopes=["read", "upload"])
    columns = "name", "scopes", "created_at", "expires_at"
    of_digest = Select(lambda digest: Token.objects.filter(digest=digest).values_list(*columns), "a sample")

    for _ in range(2):
        assert of_digest("1" * 64) == list(Token.objects.values_list(*columns))


def test_objects_are_those_of_the_orm(index, people):
    """Each column of them and of the one beside them, without another query."""
    token = Token.objects.create(
        user=people.owner, index=index, name="a", digest="1" * 64, scopes=["read"], expires_at=datetime.now(UTC)
    )
    of_digest = Objects(lambda digest: Token.objects.filter(digest=digest), "a sample", beside="user")
    assert of_digest.first("2" * 64) is None

    with CaptureQueriesContext(connection) as queries:
        found = of_digest.first("1" * 64)
        assert (found, found.user) == (token, people.owner)

    assert len(queries) == 1
    for one, there in ((found, Token.objects.get()), (found.user, type(people.owner).objects.get(pk=people.owner.pk))):
        names = [field.attname for field in one._meta.concrete_fields]
        assert [getattr(one, name) for name in names] == [getattr(there, name) for name in names]
        assert not one._state.adding


def test_update_changes_the_rows_that_it_names(projects):
    """And says how many those were."""
    rename = Update(lambda name, pk: (Project.objects.filter(pk=pk), {"name": name}), "a sample", 987_654)

    assert (rename("new 100%", projects[0].pk), rename("new", 0)) == (1, 0)
    assert Project.objects.filter(name="new 100%").get() == projects[0]


@pytest.mark.parametrize("text", AWKWARD)
def test_insert_keeps_what_create_keeps(text):
    """Every column, JSON, dates and the key among them."""
    fields = {"actor_label": text, "action": "x", "target_type": "y", "target": text, "detail": {text: [1, None]}}
    insert = Insert(AuditEntry)

    rows = [insert(**fields), insert(ip="::1", **fields), AuditEntry.objects.create(**fields)]

    there = [AuditEntry.objects.get(pk=row.pk) for row in rows]
    assert [(one.actor_label, one.target, one.detail, one.ip) for one in there] == [
        (text, text, {text: [1, None]}, ip) for ip in (None, "::1", None)
    ]
    assert [one.at for one in there] == [row.at for row in rows]
    assert not rows[0]._state.adding


def test_compiles_once(projects, index, monkeypatch):
    """What is asked again is only sent."""
    made = []
    find = Select(lambda name: made.append(1) or Project.objects.filter(name=name).values_list("pk"), "a sample")

    with CaptureQueriesContext(connection) as queries:
        for text in AWKWARD:
            find(text)

    assert (len(made), len(queries)) == (1, len(AWKWARD))


def test_sample_that_is_no_parameter_is_a_mistake(db):
    """A statement that would not use its value is found when it is first made."""
    wrong = Select(lambda _: Index.objects.values_list("pk"), "a sample")
    with pytest.raises(ValueError, match="sample"):
        wrong("x")


def test_insert_renews_what_it_is_told_to(db):
    """A key that is there already keeps its row but for the columns named; otherwise it is an error."""
    old, new = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    renew, add = Insert(Blob, renewed=["claimed_at"]), Insert(Blob)

    for size, at in ((1, old), (2, new)):
        run([renew.statement(sha256="a", size=size, claimed_at=at)])

    assert list(Blob.objects.values_list("sha256", "size", "claimed_at")) == [("a", 1, new)]
    with pytest.raises(IntegrityError), transaction.atomic():
        run([add.statement(sha256="a", size=1, claimed_at=old)])


@pytest.mark.parametrize("text", AWKWARD)
def test_statements_sent_together_do_what_they_do_alone(projects, index, text):
    """In their order, whatever their values hold; PostgreSQL gets them in one message."""
    rename = Update(lambda name, pk: (Project.objects.filter(pk=pk), {"name": name}), "a sample", 987_654)
    named = Select(lambda name: Project.objects.filter(name=name).order_by("pk").values_list("pk"), "a sample")
    every = Select(lambda: Project.objects.filter(status="active").order_by().values_list("pk"))
    first, second, *_ = projects
    messages = 1 if connection.vendor == "postgresql" else 3

    with CaptureQueriesContext(connection) as sent:
        run([rename.statement("a; b", first.pk), rename.statement(text, first.pk), rename.statement("c", second.pk)])
    with CaptureQueriesContext(connection) as asked:
        found, all_of_them, gone = ask(named.statement(text), every.statement(), named.statement("a; b"))

    assert (first.pk,) in found
    assert len(all_of_them) == len(projects)
    assert gone == []
    assert (len(sent), len(asked)) == (messages, messages)


def test_nothing_to_send_is_not_sent(db):
    """No statement, no message."""
    with CaptureQueriesContext(connection) as queries:
        run([])
        assert ask() == []
    assert len(queries) == 0


def test_servers_that_bind_values_get_one_statement_at_a_time(projects, monkeypatch):
    """As PostgreSQL wants it where it is to bind them itself."""
    monkeypatch.setattr(connection.features, "uses_server_side_binding", True, raising=False)
    find = Select(lambda name: Project.objects.filter(name=name).values_list("pk"), "a sample")
    with CaptureQueriesContext(connection) as queries:
        assert ask(find.statement("plain"), find.statement("no")) == [[(projects[0].pk,)], []]
    assert len(queries) == 2


def test_failure_among_several_is_raised(projects):
    """As that of a single one, and none of them holds."""
    rename = Update(lambda name, pk: (Project.objects.filter(pk=pk), {"name": name}), "a sample", 987_654)
    move = Update(
        lambda name, pk: (Project.objects.filter(pk=pk), {"normalized_name": name}), "another sample", 987_654
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        run([rename.statement("new", projects[0].pk), move.statement("p1", projects[0].pk)])
    assert not Project.objects.filter(name="new").exists()


def test_a_row_can_follow_the_one_that_it_belongs_to(index):
    """Its foreign key is the one that the row right before got, whatever has been inserted since elsewhere."""
    project = Project.objects.create(index=index, name="Acme", normalized_name="acme")
    release, file, blob = Insert(Release), Insert(File), Insert(Blob)
    for version in ("1.0", "2.0"):
        digest = version.ljust(64, "0")
        fields = {"index_id": index.pk, "filename": f"acme-{version}.tar.gz", "packagetype": "sdist", "size": 1}
        more = {"python_version": "source", "requires_python": "", "blob_id": digest, "uploaded_at": datetime.now(UTC)}
        run(
            [
                blob.statement(sha256=digest, size=1, claimed_at=datetime.now(UTC)),
                release.statement(project=project, version=version, canonical_version=version),
                file.following("release", **fields, **more),
            ]
        )

    assert list(File.objects.order_by("filename").values_list("release__version", "yanked", "yanked_reason")) == [
        ("1.0", False, ""),
        ("2.0", False, ""),
    ]


@pytest.mark.parametrize("commits", [True, False])
def test_a_commit_can_go_with_the_last_statements(transactional_db, commits):
    """What is sent with it is there afterwards, and Django's own commit and its hooks are not disturbed by it."""
    told = []
    rename = Update(lambda name, pk: (Index.objects.filter(pk=pk), {"slug": name}), "a sample", 987_654)
    index = Index.objects.create(slug="before")
    with transaction.atomic():
        transaction.on_commit(lambda: told.append(Index.objects.get(pk=index.pk).slug))
        run([rename.statement("after", index.pk)], commits=commits)

    assert told == ["after"]


def test_statements_that_fail_commit_nothing(transactional_db):
    """Not even those before them in the message."""
    rename = Update(lambda name, pk: (Index.objects.filter(pk=pk), {"slug": name}), "a sample", 987_654)
    index, other = Index.objects.create(slug="one"), Index.objects.create(slug="other")
    with pytest.raises(IntegrityError), transaction.atomic():
        run([rename.statement("two", index.pk), rename.statement("two", other.pk)], commits=True)

    assert set(Index.objects.values_list("slug", flat=True)) == {"one", "other"}
