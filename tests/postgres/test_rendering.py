"""Whether two texts of a view say the same in the words of two versions."""

from __future__ import annotations

import pytest

from chalicelib.drift.diff import Change, Operation
from chalicelib.postgres import rendering
from chalicelib.postgres.rendering import renders


def told(before, after, old=15, new=17, *, kind="view", attribute="definition"):
    change = Change(
        Operation.ALTERED, kind, "public.v", attribute, before, after, {attribute: before}, {}
    )
    return bool(renders(change, old, new))


SAME = [
    (" SELECT orders.id\n   FROM app.orders;", " SELECT id\n   FROM app.orders;"),
    ("SELECT o.id, o.id AS x FROM app.orders o", "SELECT id, id AS x FROM app.orders o"),
    (
        "SELECT v.x FROM ( VALUES (1), (2)) v(x) WHERE (v.x > 1) GROUP BY v.x HAVING max(v.x) > 1",
        "SELECT x FROM ( VALUES (1), (2)) v(x) WHERE (x > 1) GROUP BY x HAVING max(x) > 1",
    ),
    (
        "SELECT t.id FROM app.t WHERE (t.id IN ( SELECT u.a FROM app.u WHERE (u.b = t.id)))",
        "SELECT id FROM app.t WHERE (id IN ( SELECT u.a FROM app.u WHERE (u.b = t.id)))",
    ),
    (
        "WITH c AS (SELECT t.n FROM app.t) SELECT c.n FROM c WINDOW w AS (ORDER BY c.n)",
        "WITH c AS (SELECT t.n FROM app.t) SELECT n FROM c WINDOW w AS (ORDER BY n)",
    ),
    ("SELECT g.g FROM generate_series(1, 2) g(g)", "SELECT g FROM generate_series(1, 2) g(g)"),
    ("SELECT t.a FROM app.t TABLESAMPLE system (5)", "SELECT a FROM app.t TABLESAMPLE system (5)"),
    ("SELECT t.a AS b FROM app.t ORDER BY t.a", "SELECT a AS b FROM app.t ORDER BY a"),
    ("SELECT t.a FROM app.t ORDER BY t.a", "SELECT a FROM app.t ORDER BY a"),
    ("SELECT - t.a AS a FROM app.t ORDER BY t.a", "SELECT - a AS a FROM app.t ORDER BY t.a"),
    ("SELECT a.x, b.y FROM app.a, app.b", "SELECT a.x, b.y\nFROM app.a,\n app.b;"),
]

OTHERS = [
    ("SELECT t.id FROM app.t WHERE (t.owner = CURRENT_USER)", "SELECT id FROM app.t"),
    ("SELECT t.id FROM app.t", "SELECT id FROM app.u"),
    ("SELECT t.id FROM app.t", "SELECT id FROM t"),
    ("SELECT t.id FROM app.t", "SELECT salary AS id FROM app.t"),
    ("SELECT t.id FROM app.t WHERE (t.a > 1)", "SELECT id FROM app.t WHERE (a > 2)"),
    ("SELECT t.id FROM app.t WHERE t.a AND t.b", "SELECT id FROM app.t WHERE a OR b"),
    # With two relations, a bare name is another column than it was.
    ("SELECT a.x FROM app.a, app.b", "SELECT x FROM app.a, app.b"),
    ("SELECT a.x FROM app.a JOIN app.b ON true", "SELECT x FROM app.a JOIN app.b ON true"),
    # Within a subquery, a bare name is the subquery's.
    (
        "SELECT t.id FROM app.t WHERE (EXISTS ( SELECT 1 FROM app.u WHERE (t.id = u.id)))",
        "SELECT id FROM app.t WHERE (EXISTS ( SELECT 1 FROM app.u WHERE (id = u.id)))",
    ),
    ("SELECT q.a FROM ( SELECT t.a FROM app.t) q", "SELECT a FROM ( SELECT a FROM app.t) q"),
    # In ORDER BY and DISTINCT ON, a bare name is the output's.
    ("SELECT - t.a AS a FROM app.t ORDER BY t.a", "SELECT - a AS a FROM app.t ORDER BY a"),
    (
        "SELECT DISTINCT ON (t.a) - t.a AS a FROM app.t",
        "SELECT DISTINCT ON (a) - a AS a FROM app.t",
    ),
    ("SELECT t.* FROM app.t", "SELECT * FROM app.t"),
    (
        "SELECT t.a FROM app.t UNION SELECT u.a FROM app.u",
        "SELECT a FROM app.t UNION SELECT a FROM app.u",
    ),
    ("SELECT t.id FROM app.t", "SELECT id FROM app.t; SELECT 1"),
    ("SELECT t.id FROM app.t", "DELETE FROM app.t"),
    ("SELECT t.id FROM app.t", "SELECT id FROM"),
    ("SELECT t.id FROM app.t", ""),
    ("", ""),
]


@pytest.mark.parametrize(("before", "after"), SAME)
def test_names_that_16_leaves_out_make_no_difference(before, after):
    assert told(before, after)


@pytest.mark.parametrize(("before", "after"), OTHERS)
def test_what_may_say_something_else_is_not_told(before, after):
    assert not told(before, after)


@pytest.mark.parametrize(("old", "new"), [(13, 15), (16, 17), (17, 18), (16, 16)])
def test_names_count_where_both_versions_write_them_alike(old, new):
    before, after = SAME[0]
    assert not told(before, after, old, new)
    assert told(before, before + "\n", old, new)


def test_the_newer_text_keeps_its_names():
    """What a person wrote into the newer server's view is not mended away."""
    before, after = SAME[0]
    assert not told(after, before)


def test_only_views_are_told():
    before, after = SAME[0]
    assert not told(before, after, kind="rule")
    assert not told(before, after, attribute="comment")


def test_a_tree_that_is_too_deep_is_not_told():
    # Within what the grammar reads, and beyond what is walked.
    deep = "SELECT t.a" + "+ 1" * (rendering.MAX_DEPTH // 2 + 20) + " FROM app.t"
    assert not told(deep, deep.replace("t.a", "a"))
    fine = "SELECT t.a" + "+ 1" * 20 + " FROM app.t"
    assert told(fine, fine.replace("t.a", "a"))
