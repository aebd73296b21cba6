"""The preparation of tables: what columns are taken for, numbers and back, what is missing or new, and the model file."""

import copy
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from fastdbn import RBM, DataWarning, Preparation, load
from fastdbn.preparation.kinds import can_be_kept
from fastdbn.preparation.saved import PREPARATION
from fastdbn.preparation.words import table_of
from fastdbn.tables.frames import as_table
from tests.model_files import rewrite

N = 24


def table(**more):
    """A table of every kind of column."""
    i = np.arange(N)
    columns = {
        "size": 1.25 + i * 0.5,
        "count": (i * 7) % 5,
        "flag": i % 2,
        "answer": np.array(["no", "yes"], object)[i // 3 % 2],
        "colour": np.array(["red", "green", "blue"], object)[i % 3],
        "day": [f"2020-01-{j % 9 + 1:02d}" for j in i],
    }
    return pd.DataFrame(columns | more)


def kinds(X, **options):
    preparation = Preparation(**options).fit(X)
    return {column.name: column.kind for column in preparation.columns_}


def test_kinds():
    """Each column is taken for what it holds."""
    found = kinds(table())
    assert found == {
        "size": "number",
        "count": "number",
        "flag": "flag",
        "answer": "flag",
        "colour": "category",
        "day": "date",
    }
    told = kinds(table(), kinds={"count": "category", "flag": "number", 3: "drop"})
    assert (told["count"], told["flag"]) == ("category", "number")
    assert "answer" not in told


def test_flags_and_bytes_do_not_number_rows():
    """NumPy does not subtract booleans, and bytes wrap."""
    for x in (np.arange(300) % 2 == 1, (np.arange(300) % 256).astype(np.uint8)):
        assert not Preparation().fit(x[:, None]).left_out_


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (range(N), "numbers the rows"),
        ([1.5] * N, "holds only one value, 1.5"),
        (["x"] * N, "holds only one value, 'x'"),
        ([f"name {i}" for i in range(N)], "names or free text"),
        ([None] * N, "has no values"),
        ([f"0{i % 9 + 1}/0{i % 5 + 1}/2020" for i in range(N)], "cannot be told apart"),
    ],
)
def test_left_out(column, why):
    """Columns without use are left out, and it is said why."""
    preparation = Preparation().fit(table(odd=list(column)))
    assert why in preparation.left_out_[6]
    assert "odd" not in preparation.names


def test_what_can_be_kept():
    """Advice to keep a column is given only where keeping it helps."""
    X = as_table(table(name=[f"name {i}" for i in range(N)], one=[1.5] * N, text=["x"] * N, none=[None] * N))
    kept = Preparation(keep=["name", "one", "text", "none"]).fit(X)
    assert [j for j in range(6, 10) if can_be_kept(X, j)] == [6, 7]
    assert sorted(kept.left_out_) == [8, 9]


def test_left_out_for_the_target():
    """A column that determines the target is left out, unless it is kept; so is an identifier."""
    X = table(id=[7 * i % 101 for i in range(N)])
    y = np.array(["no", "yes"])[(X["answer"] == "yes").astype(int)]
    assert sorted(Preparation().fit(X, y).left_out_) == [3, 6]
    assert not Preparation(keep=["answer", "id"]).fit(X, y).left_out_


def test_round_trip():
    """Numbers and labels come back as they were, missing values too, from any container."""
    X = table(day=[None, *[f"2020-01-0{i % 9 + 1}" for i in range(N - 1)]])
    X.loc[[2, 5], ["size", "answer", "colour"]] = None
    preparation = Preparation().fit(X)
    numbers = preparation.transform(X)
    back = preparation.inverse_transform(numbers)
    for name in X:
        assert back[name].isna().tolist() == X[name].isna().tolist(), name
        assert back[name].dropna().tolist() == X[name].dropna().tolist(), name
    assert preparation.visible_ == [("gaussian", slice(0, 3)), ("bernoulli", slice(3, 8)), ("softmax", slice(8, 12))]
    names = preparation.get_feature_names_out().tolist()
    assert names[:5] == ["size", "count", "day", "flag", "answer"]
    assert names[5:8] == ["size is missing", "answer is missing", "day is missing"]
    assert names[8:] == ["colour=blue", "colour=green", "colour=red", "colour=(missing)"]
    polars, arrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    indexed = arrow.Table.from_pandas(X.set_axis(X.index.astype(str)))
    assert indexed.num_columns == X.shape[1] + 1
    for other in (polars.from_pandas(X), arrow.Table.from_pandas(X), indexed, X.to_dict("list"), as_table(X)):
        other = pd.DataFrame(other) if isinstance(other, dict) else other
        assert np.array_equal(Preparation().fit(other).transform(other), numbers)
    assert "filled by" in "\n".join(table_of(preparation, lambda place: X.columns[place]))


def test_containers_agree_on_values():
    """True and false, dates and integers of pandas are the same as in text."""
    X = table(day=pd.to_datetime(table()["day"]), flag=table()["flag"] == 1)
    preparation = Preparation().fit(X)
    assert {c.name: c.kind for c in preparation.columns_}["day"] == "date"
    assert next(c.labels for c in preparation.columns_ if c.name == "flag") == ("False", "True")
    assert preparation.inverse_transform(preparation.transform(X))["flag"].tolist() == X["flag"].tolist()


def test_numbers_stay_in_range():
    """Samples have the range and the digits of the fit, and flags and labels the most probable ones."""
    X = table()
    preparation = Preparation().fit(X)
    wild = np.random.default_rng(0).normal(size=(50, preparation.n_features_out_)) * 1e6
    back = preparation.inverse_transform(wild)
    assert back["size"].between(X["size"].min(), X["size"].max()).all()
    assert set(back["count"]) <= set(range(5))
    assert set(back["colour"]) == {"red", "green", "blue"}
    assert set(back["day"]) <= set(X["day"])


def test_what_was_never_seen():
    """A new label, a text among numbers and a value that is missing are warned of, and count as missing."""
    X = table()
    preparation, later = Preparation().fit(X), X.astype(object)
    later.loc[3, "colour"] = "pink"
    with pytest.warns(DataWarning, match="column 'colour' has 'pink' in row 4, which the fit did not see"):
        numbers = preparation.transform(later)
    assert numbers[3, -3:] == pytest.approx([1 / 3] * 3)
    later = X.astype(object)
    later.loc[1, "size"] = None
    with pytest.warns(DataWarning, match="column 'size' has no value in row 2"):
        assert preparation.transform(later)[1, 0] == X["size"].median()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X["answer"] = X["answer"].str.upper()
        assert np.isfinite(preparation.transform(X)).all()


def test_many_labels():
    """Beyond a number of labels the rare ones are one label, which takes new ones too."""
    column = [f"c{i % 100}" if i > 400 else f"c{i % 40}" for i in range(1000)]
    X = pd.DataFrame({"c": column, "x": np.arange(1000) ** 2})
    preparation = Preparation().fit(X)
    (category,) = (c for c in preparation.columns_ if c.kind == "category")
    assert len(category.labels) == 64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X.loc[0, "c"] = "new"
        assert preparation.inverse_transform(preparation.transform(X))["c"][0] == "(other)"


def test_kept_missing_values():
    """missing="keep" leaves NaN, in whole groups, for models that learn from it and fill it in."""
    X = table()
    X.loc[[2, 5], ["size", "colour"]] = None
    preparation = Preparation(missing="keep").fit(X)
    numbers = preparation.transform(X)
    assert np.isnan(numbers).sum(axis=1).tolist() == [4 if i in (2, 5) else 0 for i in range(N)]
    rbm = RBM(4, visible=preparation.visible_, missing="sample", n_iter=1, random_state=0).fit(numbers)
    assert {len(c.fill) for c in preparation.columns_ if c.kind == "category"} == {3}
    filled = preparation.inverse_transform(rbm.impute(numbers, n_steps=2, random_state=0))
    assert not filled.isna().any().any()


def test_missing_values_come_back():
    """Of each kind, whether they are marked in a unit or left as NaN."""
    X = table(member=[True, False] * (N // 2)).astype(object)
    X.loc[2] = None
    for missing in ("fill", "keep"):
        preparation = Preparation(missing=missing, kinds={"count": "category"}).fit(X)
        back = preparation.inverse_transform(preparation.transform(X))
        assert {column.kind for column in preparation.columns_} == {"number", "flag", "category", "date"}
        assert back.astype(object).where(back.notna(), None).equals(X), missing


def test_text_that_spells_numbers():
    """A frame of text is the same table as the CSV file of it, and as a frame of numbers."""
    X = table()
    as_text = X.astype(str).astype(object)
    as_text["size"] = list(map(Decimal, X["size"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(Preparation().fit(as_text).transform(as_text), Preparation().fit(X).transform(X))


def test_large_numbers_come_back():
    """Whole numbers beyond the integers of float64 stay floats."""
    X = pd.DataFrame({"a": np.arange(N) % 7 * 1e20, "b": np.arange(N) % 5})
    preparation = Preparation(kinds={"a": "number"})
    with pytest.warns(DataWarning, match="above 2\\^53"):
        numbers = preparation.fit_transform(X)
    assert preparation.inverse_transform(numbers).equals(X)


def test_fitted_again():
    """A later fit leaves nothing of an earlier one, such as names."""
    preparation = Preparation().fit(table())
    X = table().to_numpy()
    assert np.array_equal(preparation.fit(X).transform(X), Preparation().fit(X).transform(X))
    assert not hasattr(preparation, "feature_names_in_")


def test_inverse_of_another_width():
    preparation = Preparation().fit(table())
    for X in (np.zeros((2, 3)), np.zeros(9)):
        with pytest.raises(ValueError, match=f"X has shape .*: give rows of {preparation.n_features_out_} numbers"):
            preparation.inverse_transform(X)


def test_plain_numbers():
    """Pixels, probabilities and complete numbers without flags are left to visible="auto", as they are."""
    draw = np.random.default_rng(0)
    for X in (draw.random((N, 4)), draw.integers(0, 256, (N, 20)), draw.normal(size=(N, 4)), draw.integers(0, 2, (N, 4))):
        preparation = Preparation().fit(X)
        assert preparation.visible_ == "auto"
        assert np.array_equal(preparation.transform(X), X)
    mixed = np.column_stack([draw.normal(size=(N, 2)), np.arange(N) % 2])
    assert Preparation().fit(mixed).visible_ == [("gaussian", slice(0, 2)), ("bernoulli", slice(2, 3))]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ([*range(N - 1), "red"], f"column 'odd' holds the text 'red' among numbers in row {N}"),
        ([*range(N - 1), np.inf], f"column 'odd' is inf in row {N}"),
        ([f"{i},5" for i in range(N)], "'0,5' in row 1 and in 23 more: write numbers with a decimal point"),
    ],
)
def test_refused(column, says):
    """What may be a mistake is refused, with row, value and remedies."""
    with pytest.raises(ValueError, match=says) as error:
        Preparation().fit(table(odd=column))
    assert "--as odd=drop" in str(error.value)
    assert Preparation(kinds={"odd": "drop"}).fit(table(odd=column)).left_out_ == {6: "as told"}


def test_bad_arguments():
    """Parameters, shapes and columns that do not fit."""
    X = table()
    for options, says in (
        ({"missing": "drop"}, "missing='drop'"),
        ({"kinds": {"size": "colour"}}, "size='colour': give one of"),
        ({"kinds": {"none": "flag"}}, "no such column"),
        ({"kinds": {"colour": "flag"}}, "a flag has two"),
        ({"kinds": {"colour": "date"}}, "not dates"),
        ({"kinds": dict.fromkeys(X, "drop")}, "no columns are left"),
        ({"kinds": {"size": "drop"}, "keep": ["size"]}, "column 'size': kinds .* drops it and keep .* uses it"),
        ({"kinds": {"size": "number", list(X).index("size"): "category"}}, "by its name and by its position"),
    ):
        with pytest.raises(ValueError, match=says):
            Preparation(**options).fit(X)
    with pytest.raises(ValueError, match="2, rows and columns"):
        Preparation().fit([1, 2])
    with pytest.raises(ValueError, match="lacks the column 'size'"):
        Preparation().fit(X).transform(X.drop(columns="size"))


def test_in_a_pipeline():
    """It is a step of a pipeline, and a clone of it fits as it does."""
    X = table()
    model = make_pipeline(Preparation(), RBM(3, n_iter=1, random_state=0)).fit(X)
    assert model.transform(X).shape == (N, 3)
    assert np.array_equal(clone(model).fit(X).transform(X), model.transform(X))


# ---- in the model file


@pytest.fixture
def saved(tmp_path):
    X = table()
    X.loc[[2, 5], ["size", "colour"]] = None
    preparation = Preparation().fit(X)
    rbm = RBM(3, visible=preparation.visible_, n_iter=1, random_state=0).fit(preparation.transform(X))
    rbm.preparation_ = preparation
    rbm.save(tmp_path / "m")
    return X, preparation, tmp_path / "m"


def test_saved(saved):
    """A file gives the preparation back."""
    X, preparation, path = saved
    other = load(path).preparation_
    assert other.columns_ == preparation.columns_
    assert other.visible_ == preparation.visible_
    assert np.array_equal(other.transform(X), preparation.transform(X))
    assert other.inverse_transform(other.transform(X)).equals(preparation.inverse_transform(preparation.transform(X)))


class Place:
    def size(self, symbol, n, name):
        return n


def changes():
    """Changes of a record that must be refused."""
    for name, value in (
        ("kind", "colour"),
        ("kind", "date"),
        ("place", 99),
        ("place", -1),
        ("labels", ["a", "a", "b"]),
        ("labels", ["a", "b"]),
        ("labels", [1, 2, 3]),
        ("fill", [0.5, 0.5, 0.5, 0.5]),
        ("fill", [0.5]),
        ("low", 2.0),
        ("digits", 7),
        ("marked", 1),
        ("name", ""),
        ("name", "size"),
    ):
        yield f"{name}={value}", lambda record, name=name, value=value: record["columns"][4].update({name: value})
    yield "far", lambda record: record["columns"][5].update(high=1e9)
    yield "form", lambda record: record["columns"][5].update(labels=["%c"])
    yield "width", lambda record: record.update(width=3)
    yield "missing", lambda record: record.update(missing="some")
    yield "plain", lambda record: record.update(plain=True)
    yield "more", lambda record: record.update(more=1)
    yield "none", lambda record: record.update(columns=[])
    yield "order", lambda record: record["columns"].reverse()


@pytest.mark.parametrize("change", [pytest.param(change, id=what) for what, change in changes()])
def test_hostile_record(change):
    """What a fit cannot leave is refused."""
    X = table()
    X.loc[[2, 5], ["size", "colour"]] = None
    record = PREPARATION.put(None, "preparation", Preparation().fit(X))
    assert PREPARATION.get(Place(), "preparation", copy.deepcopy(record)).n_features_out_ == 10
    change(record)
    with pytest.raises(ValueError, match=r"preparation|marked=1 is not of type bool"):
        PREPARATION.get(Place(), "preparation", record)


def test_other_features(saved):
    """A preparation for other features than the model's is refused."""
    path = saved[-1]
    rewrite(path, lambda record, tensors: record["state"]["preparation"]["columns"].pop())
    with pytest.raises(ValueError, match="preparation has 9 where n_features is 10"):
        load(path)


def test_names_of_digits():
    """A text that is a name is that column, and an integer is a position."""
    frame = pd.DataFrame({"1": np.arange(9) / 7, "0": np.arange(9) % 3, "2": 1 / (1 + np.arange(9))})
    for column in ("0", 1):
        prepared = Preparation(kinds={column: "category"}).fit(frame)
        assert [each.kind for each in prepared.columns_] == ["number", "category", "number"]
