"""The types of columns."""

import pytest

from maxstage._pure.query import kinds as twin
from maxstage.query.sql import columns
from maxstage.query.sql.columns import columns_of, tree_of


def test_bits_are_those_of_the_core():
    names = [
        name for name in vars(twin) if name.isupper() and not name.startswith("_") and hasattr(columns, name)
    ]
    assert len(names) == 15
    assert [getattr(columns, name) for name in names] == [getattr(twin, name) for name in names]


def typed(*fields, more=False):
    return columns_of(tree_of([([], columns.OBJECT), *fields]), more=more)


@pytest.mark.parametrize(
    ("kinds", "name"),
    [
        (columns.NULL, "JSON"),
        (columns.BOOL | columns.NULL, "BOOLEAN"),
        (columns.INTEGER, "BIGINT"),
        (columns.INTEGER | columns.LONG, "HUGEINT"),
        (columns.INTEGER | columns.DECIMAL, "DOUBLE"),
        (columns.DECIMAL | columns.HUGE, "VARCHAR"),
        (columns.DATE | columns.TIME, "TIMESTAMP"),
        (columns.TIME | columns.ZONED, "VARCHAR"),
        (columns.INTEGER | columns.TEXT, "VARCHAR"),
        (columns.OBJECT | columns.TWICE, "JSON"),
        (columns.OBJECT | columns.ARRAY, "JSON"),
        (columns.ARRAY, "JSON[]"),
        (columns.ARRAY | columns.TEXT, "JSON"),
    ],
)
def test_a_type_holds_all_that_comes(kinds, name):
    assert typed(([b"a"], kinds)) == {"a": name}


def test_names_that_cannot_be_columns():
    assert typed(([b"a"], 4), ([b"A"], 4)) == {"json": "JSON"}
    assert typed(([b""], 4)) == {"json": "JSON"}
    assert typed(([b"a"], 4), more=True) == {"json": "JSON"}
    inner = [([b"a"], columns.OBJECT), ([b"a", b'it\'s "x"'], 4)]
    assert typed(*inner) == {"a": 'STRUCT("it\'s ""x""" BIGINT)'}
    assert typed(*inner, ([b"a", b'IT\'S "X"'], 4)) == {"a": "JSON"}
