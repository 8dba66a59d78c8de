"""Values with named fields."""

import copy
import pickle

import pytest

from maxstage.record import Record, made_by


class Point(Record):
    x: int
    y: int = 0
    seen: list = made_by(default_factory=list)


def test_fields_are_given_by_place_or_name():
    assert (Point(1).x, Point(1).y, Point(1, 2).y, Point(y=2, x=1).x) == (1, 0, 2, 1)
    assert Point.fields == ("x", "y", "seen")


def test_a_default_may_be_made_anew():
    assert Point(1).seen is not Point(1).seen


@pytest.mark.parametrize(
    ("args", "values", "problem"),
    [
        ((), {}, "Point needs 'x'"),
        ((1, 2, [], 4), {}, "Point has 3 fields, and 4 values were given"),
        ((1,), {"x": 1}, "Point was given 'x' twice"),
        ((1,), {"z": 1}, "Point has no field 'z'"),
    ],
)
def test_what_does_not_fit_is_told(args, values, problem):
    with pytest.raises(TypeError, match=problem):
        Point(*args, **values)


def test_a_record_does_not_change():
    point = Point(1)
    with pytest.raises(AttributeError, match=r"Point can't be changed: use replace\(x=…\)"):
        point.x = 2
    with pytest.raises(AttributeError, match="Point can't be changed"):
        del point.x
    assert point.replace(x=2) == Point(2)
    assert point == Point(1)


def test_records_are_equal_by_their_fields():
    assert Point(1, seen=()) == Point(1, 0, ())
    assert Point(1) != Point(2)
    assert Point(1) != (1, 0, [])
    assert hash(Point(1, seen=())) == hash(Point(1, seen=()))
    assert repr(Point(1, 2, ())) == "Point(x=1, y=2, seen=())"


def test_records_are_copied():
    point = Point(1, 2, [3])
    for one in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert one == point
