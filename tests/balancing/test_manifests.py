"""Digests of blocks: what is taken from the original, and what they keep from clients."""

import random
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancing import manifests
from balancing.models import Manifest
from tests.balancing.streams import LARGE, Diary, Storage, run

BLOCK = manifests.BLOCK
HASHES = tuple(sha256(LARGE[at : at + BLOCK]).digest() for at in range(0, len(LARGE), BLOCK))


@given(st.lists(st.integers(0, 3_000_000), max_size=6))
def test_hashes_do_not_depend_on_how_the_bytes_arrive(lengths):
    """Fed in any pieces the blocks are those of the whole."""
    data = random.Random(1).randbytes(sum(lengths))
    hasher, at = manifests.Hasher(), 0
    for length in lengths:
        hasher.feed(data[at : at + length])
        at += length

    assert hasher.hashes() == tuple(sha256(data[at : at + BLOCK]).digest() for at in range(0, len(data), BLOCK))


@pytest.mark.django_db
def test_hashes_are_kept_once_and_remembered(django_assert_num_queries):
    """The first to know writes them; reading them again asks nobody; a row that cannot be right counts as none."""
    digest = "ab" * 32
    size = 3 * BLOCK + 1
    hashes = tuple(bytes([number]) * 32 for number in range(4))
    assert manifests.is_wanted(digest, size)
    assert not manifests.is_wanted(digest, BLOCK)
    assert manifests.of(digest, size) == ()
    manifests.keep(digest, hashes)
    manifests.keep(digest, hashes[:1] * 4)
    assert not manifests.is_wanted(digest, size)
    with django_assert_num_queries(1):
        assert manifests.of(digest, size) == manifests.of(digest, size) == hashes

    Manifest.objects.create(digest="cd" * 32, hashes=b"short")
    assert manifests.of("cd" * 32, size) == ()


@pytest.mark.parametrize("at", [0, BLOCK - 1, BLOCK, len(LARGE) // 2, len(LARGE) - 1])
def test_damaged_block_of_a_large_file_is_replaced_unnoticed(fleet_of_two, at):
    """A flipped bit anywhere: what is sent is right to the last byte, and the node is told of."""
    diary, storage = Diary(), Storage()
    fleet_of_two.plant(0, LARGE, LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :])

    assert b"".join(run(LARGE, fleet_of_two.nodes(), storage, diary, hashes=HASHES)) == LARGE
    assert diary.outcomes == [("node-0", False, "corrupt"), ("node-1", True, "")]
    assert diary.doubted == ["node-0"]


@pytest.mark.parametrize(
    "span",
    [
        (0, 1),
        (5, 9),
        (BLOCK - 3, BLOCK + 3),
        (BLOCK, 2 * BLOCK),
        (3 * BLOCK + 7, len(LARGE)),
        (len(LARGE) - 1, len(LARGE)),
    ],
)
def test_parts_are_checked_too(fleet_of_two, span):
    """A part is right where its blocks are damaged on one node, wherever it begins and ends."""
    diary, storage = Diary(), Storage()
    at = span[0]
    fleet_of_two.plant(0, LARGE, LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :])

    assert b"".join(run(LARGE, fleet_of_two.nodes(), storage, diary, *span, hashes=HASHES)) == LARGE[slice(*span)]
    assert diary.outcomes == [("node-0", False, "corrupt"), ("node-1", True, "")]


def test_all_copies_damaged(fleet_of_two):
    """Our own storage goes on at the damaged block."""
    diary, storage = Diary(), Storage(LARGE)
    at = 5 * BLOCK + 17
    for number in (0, 1):
        fleet_of_two.plant(number, LARGE, LARGE[:at] + bytes([LARGE[at] ^ 1]) + LARGE[at + 1 :])

    assert b"".join(run(LARGE, fleet_of_two.nodes(), storage, diary, hashes=HASHES)) == LARGE
    assert storage.asked == [(5 * BLOCK, len(LARGE))]
    assert diary.doubted == ["node-0", "node-1"]


def test_node_that_dies_between_blocks(fleet_of_two):
    """A killed node is replaced at the block that was not whole."""
    diary, storage = Diary(), Storage()
    blocks = run(LARGE, fleet_of_two.nodes(), storage, diary, hashes=HASHES)
    found = bytearray()
    for block in blocks:
        found += block
        if len(found) == 4 * BLOCK:
            fleet_of_two.servers[0].kill()

    assert bytes(found) == LARGE
    assert diary.outcomes[1:] == [("node-1", True, "")]
