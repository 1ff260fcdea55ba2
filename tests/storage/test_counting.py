"""What counts for whom, and that the counters are true again by themselves."""

from contextlib import suppress

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django_redis import get_redis_connection

from pkgindex import storage, tasks
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog import services as catalogue
from pkgindex.catalog.models import File, Index, Project, Release
from tests.storage.files import FILES, SIZE, even, fail, used, user
from tests.support.catalogue import add_wheel
from tests.support.distributions import sdist
from throttling import services
from throttling import store as limiter
from throttling.lines import key_of
from throttling.models import Exemption, Limit
from throttling.subjects import Caller

pytestmark = pytest.mark.django_db(transaction=True)


def test_deleting_gives_back_exactly(send, plan, people):
    """A file, a release of two files and a project: each gives its bytes back to user, project and index."""
    for scopes in ("storage", "project-storage", "index-storage"):
        plan("everyone", 100 * SIZE, scopes)
    extra = sdist(version="2.0")
    sizes = {1: SIZE, 2: SIZE + len(extra[1]), 3: SIZE}
    for file in [*FILES[:3], extra]:
        answer = send(file)
        assert answer.status_code == 200, answer.reason_phrase

    def standing() -> list[list[int]]:
        return [used(**user(people.uploader)), used(name="project:main/acme"), used(name="index:main")]

    total = sum(sizes.values())
    assert standing() == [[total]] * 3
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[0][0]))
    assert standing() == [[total - sizes[1]]] * 3
    catalogue.delete_release(SYSTEM, None, Release.objects.get(version="2.0"))
    assert standing() == [[sizes[3]]] * 3
    catalogue.delete_project(SYSTEM, None, Project.objects.get())
    assert standing() == [[0]] * 3
    assert get_redis_connection("default").keys("rl:{*}:b*") == []


def test_deletion_makes_room_for_the_next(send, plan):
    """A full user deletes one and uploads one."""
    plan("users", 2 * SIZE)
    assert [send(file).status_code for file in FILES[:3]] == [200, 200, 400]
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[0][0]))
    assert [send(file).status_code for file in FILES[2:4]] == [200, 400]


def test_deletion_that_is_rolled_back_gives_nothing_back(send, plan, people):
    """Only what is committed counts."""
    plan("users", 2 * SIZE)
    send(FILES[0])
    with suppress(KeyError), transaction.atomic():
        catalogue.delete_file(SYSTEM, None, File.objects.get())
        raise KeyError
    assert File.objects.count() == 1
    assert used(**user(people.uploader)) == [SIZE]


def test_a_quota_on_existing_files_is_right_at_once(send, plan, people, client, basic):
    """The first look counts what is there; the usage page shows it."""
    for file in FILES[:3]:
        send(file)
    plan("users", 3 * SIZE + SIZE // 2)
    shown = client.get("/api/v1/usage/", **basic("uploader", "uploader-password")).json()["limits"]
    assert [(line["name"], line["used"], line["unit"]) for line in shown] == [("disk", 3 * SIZE, "storage-bytes")]
    assert send(FILES[3]).status_code == 400
    assert used(**user(people.reader)) == [0]


def test_a_flushed_store_heals_at_the_next_upload(send, plan, people):
    """Nothing more than fits is let in after the counters are lost."""
    plan("users", 2 * SIZE)
    assert [send(file).status_code for file in FILES[:2]] == [200, 200]
    get_redis_connection("default").flushdb()
    assert send(FILES[2]).status_code == 400
    assert used(**user(people.uploader)) == [2 * SIZE]


def test_a_store_that_is_away_refuses_nobody(send, plan, redis_server, people):
    """Uploads go on and are counted again when the store is back: at once where it was emptied, else by night."""
    plan("users", SIZE)
    redis_server.stop()
    assert [send(file).status_code for file in FILES[:2]] == [200, 200]


def test_nightly_count_corrects_what_is_wrong(send, plan, people, index):
    """Of users, projects and indexes, whichever way they are wrong; and twice in a row is nothing to do."""
    for scopes in ("storage", "project-storage", "index-storage"):
        plan("everyone", 100 * SIZE, scopes, name=scopes)
    send(FILES[0])
    limits = {limit.name: limit.value() for limit in Limit.objects.all()}
    store = limiter.get()
    store.level(key_of(limits["storage"], f"user:{people.uploader.pk}"), 5 * SIZE)
    store.level(key_of(limits["storage"], f"user:{people.reader.pk}"), 7)
    store.level(key_of(limits["project-storage"], "key:project:main/acme"), 3)
    store.level(key_of(limits["index-storage"], "key:index:main"), SIZE + 9)

    assert storage.recount(pause=0) == 4
    assert storage.recount(pause=0) == 0
    assert used(**user(people.uploader)) == [SIZE]
    assert used(**user(people.reader)) == [0]
    assert (used(name="project:main/acme"), used(name="index:main")) == ([SIZE], [SIZE])


def test_nightly_count_leaves_reserved_room_alone(send, plan, people):
    """A file that is being stored meanwhile keeps its room."""
    plan("users", 2 * SIZE)
    send(FILES[0])
    room = storage.Room("main", storage.Holder(Caller(**user(people.uploader))))
    with room.reserved(SIZE, "acme") as keep:
        seen = storage.stock.differences([room.uploader])
        assert [(one.counted, one.true) for one in seen] == [(2 * SIZE, SIZE)]
        add_wheel(Index.objects.get(), version="2.0", uploaded_by=people.uploader)
        keep()
    assert storage.stock.settle(seen) == 0
    assert used(**user(people.uploader)) == [2 * SIZE]


def test_the_task_does_nothing_without_limits(django_assert_num_queries):
    """A fresh installation counts nothing by night."""
    with django_assert_num_queries(0):
        assert tasks.recount_storage() == 0


def test_deletion_and_upload_ask_nothing_without_limits(send, monkeypatch):
    """No plan says anything of storage: nobody sums anything."""
    monkeypatch.setattr(storage, "stored", fail)
    monkeypatch.setattr(storage, "_people", fail)
    assert send(FILES[0]).status_code == 200
    catalogue.delete_project(SYSTEM, None, Project.objects.get())


def test_an_exempt_user_is_not_refused(send, plan, people):
    """By user or by address; the bytes count, and the project's own limit holds."""
    plan("users", SIZE)
    services.save(Exemption(subject="net:127.0.0.0/8", scopes="storage"), actor="test")
    assert [send(file).status_code for file in FILES[:2]] == [200, 200]
    services.remove(Exemption.objects.get(), actor="test")
    assert send(FILES[2]).status_code == 400
    services.save(Exemption(subject=f"user:{people.uploader.pk}"), actor="test")
    assert send(FILES[2]).status_code == 200
    plan("everyone", 3 * SIZE, "project-storage")
    assert send(FILES[3]).reason_phrase.startswith("Storage limit 'disk' is reached: project")


def test_shadow_refuses_nobody_and_counts(send, plan, people):
    """What it would refuse is stored, counted and given back exactly."""
    plan("users", SIZE, mode="shadow")
    assert [send(file).status_code for file in FILES[:3]] == [200] * 3
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[0][0]))
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[1][0]))
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[2][0]))
    assert used(**user(people.uploader)) == [0]


def test_a_group_shares_a_pool(send, plan, people):
    """One bucket for all members, besides their own."""
    group = Group.objects.create(name="team")
    people.uploader.groups.add(group)
    people.owner.groups.add(group)
    assert send(FILES[0]).status_code == 200
    plan(f"group:{group.pk}", 2 * SIZE, per="assignee")
    assert send(FILES[1], "owner").status_code == 200
    assert send(FILES[2], "owner").reason_phrase.startswith("Storage limit 'disk' is reached: your group has")
    assert send(FILES[2], "maintainer").status_code == 200
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[0][0]))
    assert send(FILES[3], "owner").status_code == 200


def test_import_is_never_refused_and_counts(index, people, plan, tmp_path):
    """The operator's files count for the index and the project, and with --user for that user."""
    for scopes in ("storage", "project-storage", "index-storage"):
        plan("everyone", SIZE, scopes, name=scopes)
    for number, arguments in enumerate([[], ["--user", "uploader"]]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for filename, content in FILES[2 * number : 2 * number + 2]:
            (folder / filename).write_bytes(content)
        call_command("import_files", str(folder), *arguments)
    assert File.objects.count() == 4
    catalogue.delete_file(SYSTEM, None, File.objects.get(filename=FILES[3][0]))
    assert used(**user(people.uploader)) == [SIZE]
    assert storage.recount(pause=0) == 0


def test_long_names_have_keys_too(send, plan):
    """A project whose name no key holds is limited as others are, and its counter is set from its files."""
    name = "a" * 90
    assert send(even(name)).status_code == 200
    size = File.objects.get().size
    plan("everyone", size, "project-storage")
    assert send(even(name, "2.0")).reason_phrase.startswith("Storage limit 'disk' is reached: project 'main/=")
    key = storage.project_name(f"main/{name}")
    assert len(f"key:{key}") <= 80
    assert used(name=key) == [size]


@pytest.mark.parametrize(
    "subject",
    ["token:3", "addr:192.0.2.1", "net:10.0.0.0/8", "anon", "user:x", "key:thing", "key:project:main", "key:x:main/a"],
)
def test_nobody_can_tell_what_these_keep(subject):
    """Subjects that no row names have no truth."""
    assert storage.stored(subject) is None


@pytest.mark.parametrize("subject", ["user:99", "group:99", "key:index:none", "key:project:none/x", "key:project:a/=0"])
def test_what_does_not_exist_keeps_nothing(subject):
    """An unknown name is empty, and no error."""
    assert storage.stored(subject) == 0
