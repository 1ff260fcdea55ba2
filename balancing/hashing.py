"""Rendezvous hashing: for a key, every node gets a number that depends on the two alone. Pure.

All hosts, processes and Python versions must agree, so nothing here uses `hash()`. One pick may look at 50 nodes in a
few microseconds, so all nodes are hashed at once: each has a lane of 64 bits in one large integer, and the 32-bit
finaliser of MurmurHash3 runs over all lanes by a handful of integer operations. A product of two 32-bit numbers fits
its lane, so lanes never disturb each other.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import log
from struct import unpack

LANE_BYTES = 8
HALF = 0xFFFFFFFF
SCALE = 1 / 2**32


def words(key: str, ids: tuple[str, ...]) -> tuple[int, ...]:
    """One evenly distributed 32-bit number for each node, in the order of `ids`."""
    if not ids:
        return ()
    seeds, ones, mask = _lanes(ids)
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    mixed = _mix(seeds ^ ones * int.from_bytes(digest[:4], "little"), mask)
    mixed = _mix(mixed ^ ones * int.from_bytes(digest[4:], "little"), mask)
    return unpack(f"<{len(ids)}Q", mixed.to_bytes(len(ids) * LANE_BYTES, "little"))


def costs(key: str, ids: tuple[str, ...], weights: Sequence[float]) -> list[float]:
    """Weighted rendezvous: the node of the least cost wins, each with a chance in proportion to its weight (above 0).

    -ln(u) / w is exponentially distributed with rate w, and the least of such numbers is the i-th with chance w_i / W.
    A change of one weight moves only the keys that this node wins or loses.
    """
    return [-log((word + 0.5) * SCALE) / weight for word, weight in zip(words(key, ids), weights, strict=True)]


def fraction(key: str, purpose: str) -> float:
    """A number from 0 to below 1 that belongs to the key; another purpose gives an independent one."""
    return words(key, (purpose,))[0] * SCALE


def _mix(lanes: int, mask: int) -> int:
    lanes ^= (lanes >> 16) & mask
    lanes = (lanes * 0x85EBCA6B) & mask
    lanes ^= (lanes >> 13) & mask
    lanes = (lanes * 0xC2B2AE35) & mask
    return lanes ^ (lanes >> 16) & mask


@lru_cache(maxsize=1024)
def _lanes(ids: tuple[str, ...]) -> tuple[int, int, int]:
    """The nodes' seeds, a one in every lane, and the lower half of every lane."""
    seeds = ones = 0
    for position, ident in enumerate(ids):
        seed = blake2b(ident.encode("utf-8", "surrogatepass"), digest_size=4, person=b"balancing node").digest()
        seeds |= int.from_bytes(seed, "little") << (64 * position)
        ones |= 1 << (64 * position)
    return seeds, ones, ones * HALF
