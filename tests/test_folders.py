"""Files of tables that are read block by block: the columns that they have in common, their order, and what is refused."""

import numpy as np
import pytest

from fastdbn import RBM
from fastdbn.inputs.blocks import stored_rows
from fastdbn.tables.blocks import opened


def test_files_of_a_folder_have_the_same_columns(tmp_path):
    (tmp_path / "1.csv").write_text('"a",b\n0,1\n1,0\n\n')
    (tmp_path / "2.csv").write_text("a,b\n1,1\n")
    assert np.array_equal(stored_rows(opened(tmp_path))[:], [[0, 1], [1, 0], [1, 1]])
    for text, words in (
        ("b,a\n1,1\n", "3.csv has a column 'b', where"),
        ("a,b,c\n1,1,1\n", "3.csv has 3 columns, and those before have 2"),
        ("a,b\n1,x\n", "3.csv: after"),
    ):
        (tmp_path / "3.csv").write_text(text)
        with pytest.raises(ValueError, match=words):
            RBM(3).fit(tmp_path)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("a,b\n0,1\n", "1,1\n"), "2.csv has no names of columns, and those before have some"),
        (("0,1\n", "a,b\n1,1\n"), "2.csv has names of columns, and those before have none"),
        (("0,,1\n1,1,1\n",), "1.csv: after row 0: could not convert string ''"),  # which is no line of names
        (("a,b,a\n1,1,1\n",), "the header names the column 'a' twice"),
        (("0,1\n" * 3 + "0\n",), "1.csv: line 4 has 1 fields, the first has 2"),
    ],
)
def test_files_that_are_not_alike(texts, words, tmp_path):
    for i, text in enumerate(texts, 1):
        (tmp_path / f"{i}.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        RBM(3).fit(tmp_path)


def test_files_come_in_the_order_of_their_numbers(tmp_path):
    """As Dask writes and reads them; and a line of names may quote the mark between cells."""
    for i in (10, 9, 0):
        (tmp_path / f"part.{i}.csv").write_text(f'"a,b",c\n{i},"2"\n')
    (tmp_path / "_part.1.csv").write_text("not data")
    assert np.array_equal(stored_rows(opened(tmp_path))[:], [[0, 2], [9, 2], [10, 2]])


def test_the_index_of_a_data_frame_is_no_column(tmp_path):
    pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"a": [0.5, 2.5], "b": [1, None]}, index=[7, 9]).astype({"b": "Int64"}).to_parquet(tmp_path / "x.parquet")
    assert np.array_equal(stored_rows(opened(tmp_path / "x.parquet"))[:], [[0.5, 1], [2.5, np.nan]], equal_nan=True)
