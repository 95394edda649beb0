from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash, root

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/rfc6962.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
ROOTS = [EMPTY_ROOT, *map(bytes.fromhex, VECTORS["roots"])]


def defined(leaves):
    """The tree hash as RFC 9162 §2.1.1 defines it, by recursion."""
    if len(leaves) < 2:
        return leaf_hash(leaves[0]) if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    assert root(LEAVES[:size]) == ROOTS[size]


def test_the_empty_tree_hashes_the_empty_string():
    assert EMPTY_ROOT.hex() == VECTORS["empty_root"]


@given(st.lists(st.binary(max_size=5), max_size=70))
def test_the_root_is_the_one_of_the_definition(leaves):
    assert root(leaves) == defined(leaves)


@given(st.lists(st.binary(max_size=5), max_size=70), st.lists(st.binary(max_size=5), max_size=9))
def test_a_frontier_that_was_stored_goes_on_as_if_it_had_not_been(before, more):
    frontier = Frontier()
    for leaf in before:
        frontier.append(leaf_hash(leaf))
    stored, copied = Frontier(frontier.size, frontier.hashes), frontier.copy()
    for leaf in more:
        stored.append(leaf_hash(leaf))
    assert stored.root() == root([*before, *more])
    assert stored.size == len(before) + len(more)
    assert copied.root() == frontier.root() == root(before)


def test_a_leaf_is_no_node_and_order_counts():
    one, two = leaf_hash(b"1"), leaf_hash(b"2")
    assert leaf_hash(one + two) != node_hash(one, two) != node_hash(two, one)


@pytest.mark.parametrize(
    ("size", "hashes"),
    [(-1, []), (1, []), (0, [bytes(32)]), (2, [bytes(32)] * 2), (1, [bytes(31)])],
)
def test_a_frontier_with_other_hashes_than_its_size_has_is_refused(size, hashes):
    with pytest.raises(ValueError, match="frontier"):
        Frontier(size, hashes)
