"""Labels that a classifier refuses: the message shows them as Python does, and says what helps."""

import numpy as np
import pytest

from fastdbn import RBM, DBNClassifier
from fastdbn.estimators.classes import classes
from fastdbn.support.checks import LONG, integer, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.str_("barolo"), "'barolo'"),
        (np.array(["a", "b"]), "['a', 'b']"),
        ((np.float64(0.5), [np.int64(2)]), "(0.5, [2])"),
        ({np.str_("a"): np.float32(0.5)}, "{'a': 0.5}"),
        (np.bool_(True), "True"),
        (None, "None"),
    ],
)
def test_values_are_shown_as_plain(value, text):
    """NumPy's types are not shown, and long values are cut."""
    assert shown(value) == text
    assert len(shown("x" * 999)) == LONG + 3


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.array(["barolo"] * 3), "only one class, 'barolo': a"),
        ([0.5, 1.5, 2.5], "DBNRegressor"),
        (np.array([1, "a", 2.5], dtype=object), r"y\.astype\(str\)"),
        (np.eye(3), r"y\.argmax\(axis=1\)"),
        ([0, np.nan, 1], "y is nan in row 1: drop"),
        (np.array(["a", "b", None], dtype=object), "y is None in row 2: drop"),
    ],
)
def test_labels_that_are_refused(y, says):
    """Each message names the remedy."""
    with pytest.raises(ValueError, match=says):
        classes(y, 3)


def test_unknown_labels_are_shown_as_plain():
    """In messages of checks and of partial_fit."""
    with pytest.raises(ValueError, match=r"did not have: \['c'\]; known are \['a', 'b'\]"):
        classes(["a", "c"], 2, np.array(["a", "b"]))
    with pytest.raises(ValueError, match=r"n_iter=0: give"):
        integer(np.int64(0), "n_iter")
    model = DBNClassifier((2,), rbm=RBM(visible="bernoulli"), pretrain=False, max_iter=1).fit([[0, 1], [1, 0]], ["a", "b"])
    with pytest.raises(ValueError, match=r"classes=\['c'\] differ from those of the first call, \['a', 'b'\]:"):
        model.partial_fit([[0, 1]], ["a"], classes=np.array(["c"]))
