"""From a row to what can be done with its node."""

from dataclasses import dataclass

import pytest
from django.core.exceptions import ImproperlyConfigured

from balancing.buckets import Bucket
from balancing.models import Kind, Node
from balancing.node.client import NodeClient
from balancing.nodes import backend_for
from balancing.signing import check


@dataclass(frozen=True, slots=True)
class View:
    """A line of a picture has the same fields as a row."""

    name: str = "node-1"
    kind: str = "server"
    url: str = "http://127.0.0.1:9101"
    public_url: str = ""
    bucket: str = ""
    region: str = ""
    prefix: str = ""


SERVER = {"name": "node-1", "kind": Kind.SERVER, "url": "http://127.0.0.1:9101"}
BUCKET = {"name": "b", "kind": Kind.BUCKET, "url": "http://127.0.0.1:9000", "bucket": "mirror", "region": "eu-west-1"}


@pytest.mark.parametrize("made", [Node, View], ids=["row", "view"])
@pytest.mark.parametrize(("fields", "expected"), [(SERVER, NodeClient), (BUCKET, Bucket)], ids=["server", "bucket"])
def test_kinds(made, fields, expected):
    """A row and a line of the picture both say which kind it is."""
    assert type(backend_for(made(**fields))) is expected


def test_row_and_view_share_one():
    """Equal fields have one backend, other fields or another time-out have another."""
    first = backend_for(Node(**SERVER))
    assert backend_for(View()) is first
    assert backend_for(View(name="node-2")) is not first
    assert backend_for(View(), timeout=1.0) is not first
    assert backend_for(Node(**BUCKET)) is backend_for(View(**BUCKET))
    assert backend_for(View(**BUCKET)) is not backend_for(View(**BUCKET, prefix="x/"))


def test_new_keys_hold_at_once(settings):
    """After a change of keys the next URL is signed with the new one."""
    before = backend_for(View())
    settings.BALANCING = {"KEYS": {"k2": "22" * 32}}
    after = backend_for(View())
    assert after is not before
    assert "key=k2" in after.url("0" * 64, 1_800_000_000, 60)


def test_url_is_for_this_node_at_its_public_address():
    """Signed for the node's name, at the address that clients reach."""
    from balancing import conf

    url = backend_for(View(public_url="https://files.example.org/one/")).url("0" * 64, 1_800_000_000, 60)
    assert url.startswith("https://files.example.org/one/files/")
    signed = url.removeprefix("https://files.example.org/one")
    assert check("GET", signed, conf.get().keyring("node-1"), 1_800_000_001) == f"/files/{'0' * 64}"


def test_mistakes_are_told(settings):
    """A URL that is none, and no keys."""
    with pytest.raises(ValueError, match="http"):
        backend_for(View(url="node:9101"))
    settings.BALANCING = {}
    with pytest.raises(ImproperlyConfigured, match="KEYS"):
        backend_for(View())
    assert isinstance(backend_for(View(**BUCKET)), Bucket)
