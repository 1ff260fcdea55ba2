"""Callers of the API, one for each persona, and a small catalogue to call about."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pkgindex.accounts.models import User
from pkgindex.accounts.services import issue
from pkgindex.audit.record import SYSTEM
from pkgindex.catalog.models import File
from tests.support.catalogue import add_wheel
from throttling import services
from throttling.models import Limit, Plan

Call = Callable[..., Any]


@pytest.fixture
def file(index) -> File:
    """acme 1.0 in the private default index."""
    return add_wheel(index)


@pytest.fixture
def as_user(client: Client) -> Callable[..., Call]:
    """Make a caller of the API: as a persona through a new token, or anonymous for None."""

    def make(user: User | None, scopes=("read", "upload", "manage", "admin"), **limits: Any) -> Call:
        headers = {}
        if user is not None:
            _, secret = issue(SYSTEM, None, user, "test", scopes, **limits)
            headers = {"authorization": f"Bearer {secret}"}

        def call(method: str, path: str, body: Any = None) -> Any:
            return client.generic(
                method.upper(),
                f"/api/v1/{path}",
                b"" if body is None else json.dumps(body),
                content_type="application/json",
                headers=headers,
            )

        return call

    return make


@pytest.fixture
def personas(people, admin_user, as_user) -> dict[str, Call]:
    """Seven callers, from nobody to administrator."""
    names = ("stranger", "reader", "uploader", "maintainer", "owner")
    made = {"anonymous": as_user(None)} | {name: as_user(getattr(people, name)) for name in names}
    return made | {"admin": as_user(admin_user)}


@pytest.fixture
def call(admin_user, as_user) -> Call:
    """An administrator through a token with every scope."""
    return as_user(admin_user)


@pytest.fixture
def team() -> Plan:
    """A plan with one limit."""
    plan = Plan(name="team")
    services.save(plan, actor="test")
    services.save(Limit(plan=plan, name="pages", rate="2/hour", scopes="index"), actor="test")
    return plan
