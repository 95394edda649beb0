import pytest
from support.cases import load, statements

from chalicelib.drift import snapshot
from chalicelib.drift.source import Known

CASES = load()


def difference(before, after):
    """(kind, name, attribute) of all that differs; + and - for objects that came or went."""
    found = {(*key, "-") for key in before.objects.keys() - after.objects.keys()}
    found |= {(*key, "+") for key in after.objects.keys() - before.objects.keys()}
    for key in before.objects.keys() & after.objects.keys():
        old, new = before.objects[key].attributes, after.objects[key].attributes
        found |= {
            (*key, name) for name in old.keys() | new.keys() if old.get(name) != new.get(name)
        }
    return found


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{n}-{case.change[:50]}" for n, case in enumerate(CASES)]
)
def test_a_statement_shows_on_exactly_the_right_attributes(case, database, major):
    if not case.since <= major <= case.until:
        pytest.skip(f"of PostgreSQL {case.since} to {case.until}")
    database.run(*statements(case.setup))
    first = database.read(known=Known(None, lambda: None))
    before = snapshot.build(first.objects)
    database.run(*statements(case.change))
    # As a scan reads that knows the last one: where it takes nothing for changed, it reads nothing.
    after = database.read(known=Known(first.mark, lambda: before))
    assert difference(before, snapshot.build(after.objects)) == case.expected
