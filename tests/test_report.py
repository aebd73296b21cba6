"""The report: what it says is right, no text of a user becomes markup, and a browser shows every figure without a network."""

import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from browser import CHROMIUM, page
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
from small import ESTIMATORS, binary, each_estimator

from fastdbn import RBM, DBNClassifier, DBNOutlierDetector, DBNRegressor, write_report
from fastdbn.evaluate.models import layers
from fastdbn.evaluate.scores import Scores, scores_of
from fastdbn.report.data import described

EVIL = "<script>document.title = 'owned'</script>"
X, Y = binary(60, 6), np.arange(60) % 2


class Outline(HTMLParser):
    """The tags of a page, the addresses that it names, and the identifiers of its figures."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.figures, self.ids, self.open = set(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.open.append(tag)
        values = dict(attributes)
        self.addresses += [values[name] for name in ("src", "href", "xlink:href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        self.figures += [values["id"]] if tag == "figure" else []

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        while self.open.pop() != tag:
            pass


def report(folder, *args, **kwargs):
    """The text of a report."""
    write_report(folder / "report.html", *args, **kwargs)
    return (folder / "report.html").read_text()


def fitted(estimator, y=Y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = hasattr(estimator, "predict") and not isinstance(estimator, DBNOutlierDetector)
        return clone(estimator).fit(X[:40], *((y[:40],) if labelled else ()))


@each_estimator
def test_every_class(tmp_path, estimator):
    """Every model has a report with all of its figures, and addresses that stay in the page."""
    model = fitted(estimator)
    labelled = hasattr(model, "predict")
    y = np.where(Y == 0, 1, -1) if isinstance(model, DBNOutlierDetector) else Y
    text = report(tmp_path, model, X[:40], y[:40] if labelled else None, X_test=X[40:], y_test=y[40:] if labelled else None)
    outline = Outline(text)
    wanted = {"curves", "weights", "activity", "filters-1", "columns", "embedding"}
    wanted |= {"confusion", "roc"} if hasattr(model, "classes_") else set()
    wanted |= {"predictions"} if isinstance(model, DBNRegressor) else set()
    wanted |= {"outliers", "roc"} if isinstance(model, DBNOutlierDetector) else set()
    assert set(outline.figures) == wanted
    assert all(address.startswith(("#", "data:image/png;")) for address in outline.addresses)
    assert len(outline.ids) == len(set(outline.ids))
    assert "http" not in re.sub(r"http://www.w3.org/\S+", "", text.replace("http-equiv", ""))


def test_images(tmp_path):
    """Rows that are images bring filters, samples and reconstructions, of the given shape."""
    model = fitted(ESTIMATORS[5])
    outline = Outline(report(tmp_path, model, X, Y, image_shape=(2, 3)))
    assert {"filters-1", "filters-2", "samples", "reconstructions"} <= set(outline.figures)
    assert "columns" not in outline.figures
    with pytest.raises(ValueError, match="image_shape"):
        write_report(tmp_path / "none.html", model, X, Y, image_shape=(5, 5))
    assert not (tmp_path / "none.html").exists()


@pytest.fixture
def without_figures(monkeypatch):
    """Reports are quick without figures."""
    monkeypatch.setattr("fastdbn.report.page._figures", lambda found: "")


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """The path of a report in which every text of a user is hostile."""
    pandas = pytest.importorskip("pandas")
    labels = np.array([EVIL, '"><img src=x onerror=alert(1)>', "$\\frac{$"])[np.arange(60) % 3]
    model = DBNClassifier((5, 4), rbm=RBM(n_iter=2), max_iter=1, unlabelled="</svg>", random_state=0)
    seen, held_out = (pandas.DataFrame(rows, columns=[f"{EVIL} {i}" for i in range(6)], copy=False) for rows in (X[:40], X[40:]))
    model.fit(seen, labels[:40])
    described = {f"{EVIL} $\\frac{{$": np.array([EVIL, None, "</td>"], object)}
    more = {"X_test": held_out, "y_test": labels[40:], "table": described, "command": f"train {EVIL}"}
    path = tmp_path_factory.mktemp("evil") / "report.html"
    write_report(path, model, seen, labels[:40], **more)
    return path


def test_hostile_texts_stay_texts(evil):
    """Column names, labels, parameters and commands are escaped, in tables and in figures."""
    text = evil.read_text()
    outline = Outline(text)
    assert not outline.tags & {"script", "img", "iframe", "object", "link", "base"}
    assert not outline.open or outline.open == ["html"]
    assert "&lt;script&gt;document.title" in text
    assert "script-src" not in text and "default-src 'none'" in text


COLOURS = """[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector("figure text")).fill]"""
SIZES = """[...document.querySelectorAll("figure")].map(figure =>
    [figure.id, ...["svg", "figcaption"].map(tag => figure.querySelector(tag).getBoundingClientRect().height)])"""
"""JavaScript: the colours of paper and ink, and the heights of each figure and of its caption."""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the page in: install the package chromium")
def test_browser_shows_all_and_fetches_nothing(evil):
    """Every figure has a size, light and dark differ, no script runs, and only the page and its own data are asked for."""
    assert evil.stat().st_size < 5e6
    with page() as browser:
        seen = {}
        for scheme in ("light", "dark"):
            browser.prefer(scheme)
            browser.open(evil.as_uri())
            seen[scheme] = browser.value(COLOURS)
        shown = {name: heights for name, *heights in browser.value(SIZES)}
        assert browser.picture().startswith(b"\x89PNG")
        assert browser.value("document.title") == "Report of a DBNClassifier"
        assert browser.value("document.body.scrollWidth <= innerWidth")
        browser.open(evil.as_uri(), 400)
        assert browser.value("document.body.scrollWidth <= innerWidth")
    assert set(shown) == set(Outline(evil.read_text()).figures) >= {"confusion", "roc", "curves", "columns"}
    assert min(map(min, shown.values())) > 15
    assert seen["light"] == ["rgb(255, 255, 255)", "rgb(28, 33, 40)"]
    assert seen["dark"] == ["rgb(20, 23, 27)", "rgb(226, 230, 234)"]
    assert not browser.messages
    assert {request for request in browser.requests if not request.startswith("data:")} == {evil.as_uri()}


def test_scores_of_a_classifier():
    """The numbers are scikit-learn's, on the rows held out; the baselines learned from the others."""
    model = fitted(ESTIMATORS[5])
    found, remark = scores_of(model, X[:40], Y[:40], X[40:], Y[40:])
    header, lines = Scores(found, remark).table()
    assert header[1:] == ("accuracy", "balanced accuracy", "AUC", "log loss")
    assert lines[0][1] == f"{model.score(X[40:], Y[40:]):.1%}"
    assert lines[1][1] == f"{max(np.mean(Y[40:] == 0), np.mean(Y[40:] == 1)):.1%}"
    scaled = (X - X[:40].mean(axis=0)) / np.where(X[:40].std(axis=0) > 0, X[:40].std(axis=0), 1)
    linear = LogisticRegression(max_iter=500).fit(scaled[:40], Y[:40])
    assert lines[2][1] == f"{linear.score(scaled[40:], Y[40:]):.1%}"
    assert "20 rows that training did not see" in remark
    assert "5 folds" in scores_of(model, X, Y, None, None).remark


def test_scores_of_a_regressor():
    """A linear target: ridge regression finds it, and the mean has an R2 of 0 or less."""
    y = X @ np.arange(6.0)
    model = fitted(ESTIMATORS[6], y)
    _, lines = scores_of(model, X[:40], y[:40], X[40:], y[40:]).table()
    assert lines[0][1] == f"{model.score(X[40:], y[40:]):.3f}"
    assert float(lines[1][1]) <= 0 < 0.99 < float(lines[2][1])
    assert Ridge(1e-3).fit(X[:40], y[:40]).score(X[40:], y[40:]) == pytest.approx(float(lines[2][1]), abs=1e-2)


def test_rows_without_a_label_and_unknown_labels(tmp_path, without_figures):
    """The first do not count in scores; the second are an error that names them."""
    y = np.where(np.arange(60) < 20, -1, Y)
    model = DBNClassifier((4,), rbm=RBM(n_iter=1), max_iter=1, unlabelled=-1, random_state=0).fit(X, y)
    assert "40 rows (20 more have no label)" in report(tmp_path, model, X, y)
    with pytest.raises(ValueError, match="y_test has labels that the fit did not have"):
        write_report(tmp_path / "none.html", model, X, y, X_test=X, y_test=Y + 5)


def test_warnings_name_their_remedies(tmp_path, without_figures):
    """What a fit warned of stands in the report of the saved model too; a healthy one has no such section."""
    with pytest.warns(Warning, match="learning_rate is too high"):
        bad = RBM(5, learning_rate=50.0, n_iter=3, centering=None, random_state=0).fit(X)
    text = report(tmp_path, bad, X)
    assert "<h2>Warnings</h2>" in text
    assert "Try learning_rate=" in text
    good = RBM(5, n_iter=200, random_state=0).fit(X)
    assert "<h2>Warnings</h2>" not in report(tmp_path, good, X)


def test_it_says_how_to_repeat(tmp_path, without_figures):
    """The code of a model has the seed that its fit had, also where none was given."""
    model = RBM(5, n_iter=1).fit(X)
    assert "fastdbn train table.csv" in report(tmp_path, model, X, command="fastdbn train table.csv")
    text = report(tmp_path, model, X)
    assert f"random_state={model.seed_}" in text
    code = re.search(r"<pre><code>(.*?)</code>", text, re.S)[1].replace("&#x27;", "'")
    space = {"X": X}
    exec(code, space)
    assert (space["model"].components_ == layers(model)[0].components_).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([1.0, 2.0, np.nan, 2.0]), ("whole numbers", "1 (25.0%)", 2, "1 to 2", "1.667 ± 0.471")),
        (np.array([0, 1, 1]), ("0 and 1", "–", 2, "0 to 1", "0.6667 ± 0.471")),
        (np.array([0.5, 0.5]), ("constant", "–", 1, "0.5 to 0.5", "0.5 ± 0")),
        (np.array(["b", None, "a", "b"], object), ("text", "1 (25.0%)", 2, "b (67%), a (33%)", "–")),
        (np.array([np.nan, np.nan]), ("empty", "2 (100.0%)", 0, "–", "–")),
    ],
)
def test_columns_of_the_data(values, says):
    """Type, missing values, distinct ones and range of a column."""
    assert described("name", values) == ("name", *says)
