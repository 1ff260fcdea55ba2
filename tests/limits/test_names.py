"""Plans for people by their names."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pkgindex.accounts.services import issue
from pkgindex.audit.record import SYSTEM
from throttling import named, services
from throttling.models import Assignment, Limit, Plan
from throttling.subjects import SubjectError

pytestmark = pytest.mark.django_db(transaction=True)
PLAN = """
[plans.team]
assign = ["user:reader", {subject = "group:web team"}]
[plans.team.limits]
few = {rate = "2/hour", scopes = ["index"]}
"""


@pytest.fixture
def team(people):
    """A group whose name has a space."""
    return Group.objects.create(name="web team")


def test_plan_given_to_a_name_limits_that_user(client, index, people, basic, team, tmp_path):
    """`user:reader` in a file is the reader: the third page is refused, and applying it again changes nothing."""
    path = tmp_path / "plans.toml"
    path.write_text(PLAN)
    call_command("limits", "apply", str(path))

    subjects = set(Assignment.objects.values_list("subject", flat=True))
    assert subjects == {f"user:{people.reader.pk}", f"group:{team.pk}"}
    statuses = [client.get("/simple/", **basic("reader", "reader-password")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_applying_names_twice_changes_nothing(people, team, tmp_path, capsys):
    """Names and ids are the same subject."""
    path = tmp_path / "plans.toml"
    path.write_text(PLAN)
    call_command("limits", "apply", str(path))
    capsys.readouterr()

    call_command("limits", "apply", str(path))

    assert capsys.readouterr().out == "Nothing differs.\n"


@pytest.mark.parametrize(
    "subject", ["user:nobody-here", "group:none", "token:none", "user:", "user: ", "user:" + "x" * 300]
)
def test_name_of_nobody_is_refused(people, subject):
    """A plan for nobody would silently limit nobody."""
    with pytest.raises(SubjectError):
        named.resolve(subject)
    with pytest.raises(CommandError):
        call_command("limits", "show", subject)


def test_token_is_found_by_its_name_where_only_one_has_it(people):
    """Two tokens of one name are told apart by their ids."""
    token, _ = issue(SYSTEM, None, people.reader, "ci", ("read",))
    assert named.resolve("token:ci") == f"token:{token.pk}"
    issue(SYSTEM, None, people.owner, "ci", ("read",))
    with pytest.raises(SubjectError, match="several tokens"):
        named.resolve("token:ci")


def test_lists_show_names_at_the_cost_of_one_query(admin_client, people):
    """The admin's list says who `user:42` is, in as many queries for many as for two."""
    plan = Plan(name="team")
    services.save(plan, actor="test")
    services.save(Limit(plan=plan, name="few", rate="2/hour"), actor="test")
    counts = []
    for who in (people.reader, people.owner, people.uploader, people.maintainer):
        services.save(Assignment(plan=plan, subject=f"user:{who.username}"), actor="test")
        with CaptureQueriesContext(connection) as queries:
            page = admin_client.get("/admin/throttling/assignment/").content.decode()
        counts.append(len(queries))

    assert f"user:{people.reader.pk} (reader)" in page
    assert counts[1] == counts[3]
