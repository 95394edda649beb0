from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import merkle
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.kernel.errors import DigestMismatch, Malformed, VerificationFailed
from chalicelib.kernel.merkle import EMPTY_ROOT, leaf_hash, root

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/rfc6962.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]
ROOTS = [EMPTY_ROOT, *map(bytes.fromhex, VECTORS["roots"])]
OTHER = bytes(range(32))


def nodes_of(leaves):
    """Nodes straight from their definition, for comparison."""
    return lambda level, index: root(leaves[index << level : (index + 1) << level])


def numbered(count):
    return [str(n).encode() for n in range(count)]


def unhex(proof):
    return [bytes.fromhex(part) for part in proof]


@pytest.mark.parametrize("vector", VECTORS["inclusion"])
def test_published_inclusion_proofs_are_made_and_verified(vector):
    index, size, proof = vector["index"], vector["size"], unhex(vector["proof"])
    assert merkle.prove_inclusion(index, size, nodes_of(LEAVES)) == proof
    merkle.verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, ROOTS[size])


@pytest.mark.parametrize("vector", VECTORS["consistency"])
def test_published_consistency_proofs_are_made_and_verified(vector):
    old, new, proof = vector["old"], vector["new"], unhex(vector["proof"])
    assert merkle.prove_consistency(old, new, nodes_of(LEAVES)) == proof
    merkle.verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


SIZES = st.integers(1, 80)


@given(SIZES, st.data())
def test_every_inclusion_proof_verifies_and_only_for_its_leaf_place_and_tree(size, data):
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.prove_inclusion(index, size, nodes_of(leaves))
    leaf, top = leaf_hash(leaves[index]), root(leaves)
    merkle.verify_inclusion(leaf, index, size, proof, top)
    wrong = [
        (OTHER, index, size, proof, top),
        (leaf, index, size, proof, OTHER),
        (leaf, index, size, [*proof, OTHER], top),
        (leaf, index, size, [OTHER, *proof], top),
        (leaf, index, size * 2 + 1, proof, top),
        (leaf, size, size, proof, top),
        (leaf, -1, size, proof, top),
        (leaf, index, size, [part[:31] for part in [*proof, OTHER]], top),
    ]
    if size > 1:
        other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
        wrong += [(leaf, other, size, proof, top), (leaf, index, size, proof[:-1], top)]
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong.append((leaf, index, size, [*proof[:at], OTHER, *proof[at + 1 :]], top))
    for arguments in wrong:
        with pytest.raises(VerificationFailed):
            merkle.verify_inclusion(*arguments)


@given(SIZES, st.data())
def test_every_consistency_proof_verifies_and_only_for_its_trees(new, data):
    leaves = numbered(new)
    old = data.draw(st.integers(1, new))
    proof = merkle.prove_consistency(old, new, nodes_of(leaves))
    before, after = root(leaves[:old]), root(leaves)
    merkle.verify_consistency(old, new, proof, before, after)
    wrong = [
        (old, new, [*proof, OTHER], before, after),
        (old, new, [OTHER, *proof], before, after),
        (old, new, proof, OTHER, after),
        (old, new, proof, before, OTHER),
        (new + 1, new, proof, before, after),
        (-1, new, proof, before, after),
        (old, new * 2 + 1, proof, before, after),
    ]
    if old < new:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong += [
            (old, new, [*proof[:at], OTHER, *proof[at + 1 :]], before, after),
            (old, new, proof[:-1], before, after),
            (old, new, [], before, after),
            (old, new, proof, after, before),
        ]
    for arguments in wrong:
        with pytest.raises(VerificationFailed):
            merkle.verify_consistency(*arguments)


def test_every_tree_extends_the_empty_one_without_proof():
    merkle.verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    merkle.verify_consistency(0, 3, [], EMPTY_ROOT, ROOTS[3])
    assert merkle.prove_consistency(0, 3, nodes_of(LEAVES)) == []
    for arguments in ((0, 3, [], OTHER, ROOTS[3]), (0, 0, [], EMPTY_ROOT, OTHER)):
        with pytest.raises(DigestMismatch):
            merkle.verify_consistency(*arguments)
    with pytest.raises(Malformed):
        merkle.verify_consistency(0, 3, [OTHER], EMPTY_ROOT, ROOTS[3])


def test_a_proof_of_more_than_64_hashes_is_refused_before_it_is_hashed():
    with pytest.raises(Malformed, match="at most 64"):
        merkle.verify_inclusion(OTHER, 0, MAX_SIZE, [OTHER] * 65, OTHER)


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, MAX_SIZE + 1)])
def test_no_inclusion_proof_is_made_outside_a_tree(index, size):
    with pytest.raises(ValueError, match="no leaf"):
        merkle.prove_inclusion(index, size, nodes_of(LEAVES))


@pytest.mark.parametrize(("old", "new"), [(-1, 1), (2, 1), (1, MAX_SIZE + 1)])
def test_no_consistency_proof_is_made_backwards(old, new):
    with pytest.raises(ValueError, match="extends"):
        merkle.prove_consistency(old, new, nodes_of(LEAVES))


@given(st.integers(0, 300))
def test_a_frontier_of_nodes_has_the_root(size):
    leaves = numbered(size)
    assert merkle.frontier(size, nodes_of(leaves)).root() == root(leaves)
