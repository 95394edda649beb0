from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.evidence import bundle, merkle, tiles
from chalicelib.evidence.tiles import Nodes, Tiler
from chalicelib.kernel.errors import Malformed, Missing
from chalicelib.kernel.merkle import leaf_hash, root

LEAVES = [b"%d" % n for n in range(70_000)]


def cut(leaves, store=None):
    """All tiles of the leaves by key, partial ones of the last size only, and the tiler."""
    store = {} if store is None else store
    tiler = Tiler()
    for leaf in leaves:
        store.update(tiler.add(leaf))
    store.update(tiler.partials())
    return store, tiler


@pytest.fixture(scope="module")
def large():
    return cut(LEAVES)


def test_a_tree_of_70000_has_the_tiles_of_the_specification_s_example(large):
    store, _ = large
    levels = {}
    for key in store:
        level, _, width = tiles.parse(key)
        levels.setdefault((level, width), []).append(key)
    assert {k: len(v) for k, v in levels.items()} == {
        (0, 256): 273,
        (0, 112): 1,
        (1, 256): 1,
        (1, 17): 1,
        (2, 1): 1,
        (tiles.ENTRIES, 256): 273,
        (tiles.ENTRIES, 112): 1,
    }


def test_a_tree_of_256_is_one_full_tile_and_one_of_width_one():
    store, _ = cut(LEAVES[:256])
    assert sorted(store) == ["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]
    assert store["tile/0/000"] == b"".join(map(leaf_hash, LEAVES[:256]))
    assert store["tile/1/000.p/1"] == root(LEAVES[:256])


def test_paths_are_those_of_the_specification():
    assert tiles.path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.path(tiles.ENTRIES, 5, 3) == "tile/entries/005.p/3"


@given(st.integers(0, 63), st.integers(0, 2**40), st.integers(1, 256))
def test_a_path_is_read_back(level, index, width):
    assert tiles.parse(tiles.path(level, index, width)) == (level, index, width)


@pytest.mark.parametrize(
    "key",
    [
        "tile/00/000",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/001/002",
        "tile/entries/000/",
        "checkpoint",
    ],
)
def test_what_is_no_tile_is_not_read_as_one(key):
    assert tiles.parse(key) is None


def test_the_tiler_s_right_edge_has_the_root(large):
    assert large[1].frontier().root() == root(LEAVES)


@settings(max_examples=30)
@given(st.integers(1, 1_300), st.integers(0, 300))
def test_a_tiler_loaded_from_tiles_goes_on_as_if_it_had_never_stopped(size, more):
    store, tiler = cut(LEAVES[:size])
    loaded = Tiler.load(size, store.get)
    for leaf in LEAVES[size : size + more]:
        assert list(loaded.add(leaf)) == list(tiler.add(leaf))
    assert list(loaded.partials()) == list(tiler.partials())
    assert loaded.frontier().root() == root(LEAVES[: size + more])


def test_a_tiler_loads_from_a_full_tile_that_replaced_the_partial_one():
    store, _ = cut(LEAVES[:256])
    loaded = Tiler.load(100, store.get)
    assert loaded.frontier().root() == root(LEAVES[:100])
    assert next(loaded.partials())[1] == bundle.encode(LEAVES[:100])


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("tile/0/000.p/9", None),
        ("tile/0/000.p/9", b"short"),
        ("tile/entries/000.p/9", None),
        ("tile/entries/000.p/9", b"\0"),
        ("tile/entries/000.p/9", bundle.encode(LEAVES[1:10])),
    ],
)
def test_a_tiler_does_not_load_from_missing_or_wrong_tiles(key, data):
    store, _ = cut(LEAVES[:9])
    store[key] = data
    assert Tiler.load(9, store.get) is None


@settings(max_examples=30)
@given(st.integers(1, 70_000), st.integers(0, 69_999))
def test_proofs_from_tiles_verify_in_every_tree_up_to_theirs(large, size, number):
    nodes = Nodes(len(LEAVES), large[0].get)
    index = number % size
    top = merkle.frontier(size, nodes).root()
    proof = merkle.prove_inclusion(index, size, nodes)
    merkle.verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, top)
    proof = merkle.prove_consistency(size, len(LEAVES), nodes)
    merkle.verify_consistency(size, len(LEAVES), proof, top, root(LEAVES))


def test_a_missing_tile_is_named(large):
    with pytest.raises(Missing, match=r"tile/0/000"):
        Nodes(70_000, {}.get)(0, 0)


@given(st.lists(st.binary(min_size=1, max_size=70), max_size=20))
def test_a_bundle_is_read_back(leaves):
    assert bundle.decode(bundle.encode(leaves)) == leaves


def test_a_bundle_is_lengths_and_leaves():
    assert bundle.encode([b"ab", b"", b"c" * 258]) == b"\0\2ab\0\0\1\2" + b"c" * 258


@given(st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=5), st.data())
def test_a_truncated_bundle_is_refused(leaves, data):
    whole = bundle.encode(leaves)
    ends = {sum(len(leaf) + 2 for leaf in leaves[:n]) for n in range(len(leaves) + 1)}
    stop = data.draw(st.integers(0, len(whole)).filter(lambda n: n not in ends))
    with pytest.raises(Malformed, match="ends inside its leaf"):
        bundle.decode(whole[:stop])


def test_a_leaf_longer_than_its_length_can_say_is_refused():
    with pytest.raises(ValueError, match="65535"):
        bundle.encode([b"x" * 65_536])
