"""Old keywords and names: they work, they warn of the new one, and the warning shows the line to change."""

import inspect
import pickle
import warnings

import pytest

from kerasgan3d.deprecation import renamed, warn_renamed


@renamed("width", "columns")
@renamed("phases", "n_phases")
def area(rows, columns=2, *, n_phases=None):
    """Multiply."""
    return rows * columns, n_phases


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((3, 4), {}), ((3,), {"columns": 4}), ((), {"rows": 3, "columns": 4}), ((3, 4), {"n_phases": None})],
)
def test_new_names_and_positions_do_not_warn(arguments, keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert area(*arguments, **keywords) == (12, None)


@pytest.mark.parametrize(
    ("old", "new", "keywords", "expected"),
    [("phases", "n_phases", {"phases": 5}, (6, 5)), ("width", "columns", {"width": 7}, (21, None))],
)
def test_an_old_keyword_is_passed_on_with_a_warning_on_the_line_of_the_call(old, new, keywords, expected):
    with pytest.warns(DeprecationWarning, match=f"`{old}` is called `{new}` now; the old name goes with") as caught:
        assert area(3, **keywords) == expected
    assert [warning.filename for warning in caught] == [__file__]


def test_several_old_keywords_warn_one_by_one():
    with pytest.warns(DeprecationWarning, match="is called") as caught:
        assert area(3, width=4, phases=1) == (12, 1)
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_both_names_of_one_keyword_are_an_error():
    with pytest.raises(TypeError, match="`n_phases` was given twice, once by its old name `phases`"):
        area(3, phases=1, n_phases=1)


def test_the_function_looks_as_without_the_decorator():
    assert (area.__name__, area.__doc__) == ("area", "Multiply.")
    assert list(inspect.signature(area).parameters) == ["rows", "columns", "n_phases"]
    # Keras reads the arguments of constructors so.
    assert inspect.getfullargspec(area).args == ["rows", "columns"]
    assert pickle.loads(pickle.dumps(area)) is area


def test_a_method_keeps_its_old_keyword():
    class Box:
        @renamed("phases", "n_phases")
        def __init__(self, n_phases):
            self.n_phases = n_phases

    with pytest.warns(DeprecationWarning, match="`n_phases`"):
        assert Box(phases=2).n_phases == 2


def test_an_old_name_warns_on_the_line_of_its_user():
    def old():
        warn_renamed("old()", "new()")

    with pytest.warns(DeprecationWarning, match=r"`old\(\)` is called `new\(\)` now") as caught:
        old()
    assert [warning.filename for warning in caught] == [__file__]
