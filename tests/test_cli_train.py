"""What `fastdbn train` trains, tests on, and prints."""

import json
import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import run

from fastdbn import DBNClassifier, load
from fastdbn.cli.commands import train
from fastdbn.cli.config import with_config
from fastdbn.cli.main import build_parser
from fastdbn.cli.rows import training_rows

QUICK = ["--layers", "6", "--pretrain-epochs", "1", "--out", "m", "--force"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Binary rows whose first column says the class: a file to train on, and one of other rows in another order of columns."""
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(0).integers(0, 2, (80, 5))
    for name, rows, columns in (("rows.csv", X[:60], [0, 1, 2, 3, 4]), ("more.csv", X[60:], [3, 1, 0, 2, 4])):
        header = ",".join(f"x{j}" for j in columns) + ",kind"
        np.savetxt(name, np.column_stack([rows[:, columns], rows[:, 0]]), fmt="%d", delimiter=",", header=header, comments="")
    return X


@pytest.mark.parametrize("model", ["rbm", "dbn", "autoencoder", "outliers"])
def test_models_without_a_target(model, folder, capsys):
    """They learn all columns but the one that is named as a target, and their scores are those of rows held out."""
    more = ["--epochs", "1"] if model == "autoencoder" else []
    code, out, err = run(capsys, "train", "rows.csv", "--model", model, *QUICK, *more)
    assert code == 0, err
    assert load("m").n_features_in_ == 6
    assert out.splitlines()[2].startswith(type(load("m")).__name__)
    assert "training" in err
    assert "on 48 rows, testing on 12" in err
    assert run(capsys, "train", "rows.csv", "--model", model, "--target", "kind", *QUICK, *more)[0] == 0
    assert load("m").n_features_in_ == 5


def test_fewer_rows(folder, capsys):
    """--rows trains on some rows of each class, and tests on all that are held out."""
    given = ["train", "rows.csv", "--target", "kind", "--keep", "x0", "--epochs", "1", *QUICK]
    code, _, err = run(capsys, *given, "--rows", "20")
    assert code == 0, err
    assert "on 20 rows, testing on 12" in err
    code, _, err = run(capsys, *given, "--rows", "7", "--test", "more.csv")
    assert code == 0, err
    assert "on 7 rows, testing on 20" in err
    assert "on 48 rows, testing on 12" in run(capsys, *given, "--rows", "900")[2]
    rows = training_rows(build_parser().parse_args(["train", "rows.csv", "--target", "kind", "--rows", "2"]))
    assert sorted(rows.y) == ["0", "1"]


def test_image_shape(folder, capsys):
    """Pictures of a model know what its training was told; another number of pixels is refused before any work."""
    pytest.importorskip("matplotlib")
    given = ["train", "rows.csv", "--model", "rbm", *QUICK]
    code, _, err = run(capsys, *given, "--image-shape", "4,4")
    assert code == 1
    assert "--image-shape 4,4 has 16 pixels, and a row has 6 features" in err
    assert run(capsys, *given, "--image-shape", "2,3", "--report", "r.html")[0] == 0
    assert 'id="reconstructions"' in Path("r.html").read_text()
    for command in (["sample", "m", "-n", "2", "--steps", "1"], ["denoise", "m", "rows.csv"]):
        code, _, err = run(capsys, *command, "--out", "s.png", "--force")
        assert code == 0, err
        assert Path("s.png").read_bytes().startswith(b"\x89PNG")
        assert run(capsys, *command, "--out", "s.png", "--force", "--image-shape", "5,5")[0] == 1


@pytest.mark.parametrize("model", ["classifier", "generative", "regressor"])
def test_missing_targets(model, folder, capsys):
    """Classifiers learn from rows without a label; others leave them out. A line counts them, and `evaluate` takes the file."""
    lines = Path("rows.csv").read_text().splitlines()
    lines = [lines[0] + ",name", *(f"{line.rpartition(',')[0]},person {i},{line[-1]}" for i, line in enumerate(lines[1:]))]
    lines[0] = lines[0].replace("kind,name", "name,kind")
    lines[3:23] = [line[:-1] + ("" if model != "regressor" else "NA") for line in lines[3:23]]
    Path("gappy.csv").write_text("\n".join(lines))
    more = ["--epochs", "1"] if model != "generative" else []
    code, out, err = run(capsys, "train", "gappy.csv", "--target", "kind", "--keep", "x0", "--model", model, *QUICK, *more)
    assert code == 0, err
    if model == "regressor":
        assert "20 of 60 rows have no target, in row 3 and in 19 more, and are left out" in err
        assert "on 32 rows, testing on 8" in err
    else:
        assert "20 of 60 rows have no label: training learns from them without one" in err
        assert "on 52 rows, testing on 8" in err
        assert np.isnan(load("m").unlabelled)
        assert len(load("m").classes_) == 2
    assert f"{'regress' if model == 'regressor' else 'classify'} (as told);" in err
    code, out, err = run(capsys, "evaluate", "m", "gappy.csv", "--target", "kind", "--json")
    assert code == 0, err
    assert json.loads(out)["rows"] == 40
    assert "20 of 60 rows have no target" in err


@pytest.mark.parametrize("options", [[], ["--model", "generative"], ["--model", "regressor", "--epochs", "2"]], ids=str)
def test_test_file(options, folder, capsys):
    """The rows of another file are the test rows; columns are found by name."""
    given = ["train", "rows.csv", "--target", "kind", "--keep", "x0", "--test", "more.csv", "--json", *QUICK, *options]
    code, out, err = run(capsys, *given)
    assert code == 0, err
    assert "testing on 20" in err
    model, scores = load("m"), json.loads(out)["scores"]
    del model.feature_names_in_
    measure, y = ("R2", folder[60:, 0]) if "regressor" in options else ("accuracy", folder[60:, 0].astype(str))
    assert scores[type(model).__name__][measure] == pytest.approx(model.score(folder[60:], y), abs=1e-6)
    best = scores["ridge regression" if measure == "R2" else "logistic regression"]
    assert best[measure] > 0.99


def test_options_are_parameters(folder, capsys):
    told = {"--epochs": "3", "--batch-size": "7", "--learning-rate": "0.01", "--dropout": "0.3", "--class-weight": "balanced"}
    more = [word for pair in told.items() for word in pair]
    assert run(capsys, "train", "rows.csv", "--target", "kind", "--validation", "0.2", "--jobs", "1", *QUICK, *more)[0] == 0
    found = load("m").get_params()
    assert found["max_iter"] == 3
    assert (found["batch_size"], found["learning_rate_init"], found["dropout"]) == (7, 0.01, 0.3)
    assert (found["class_weight"], found["early_stopping"], found["validation_fraction"]) == ("balanced", True, 0.2)
    assert found["n_jobs"] == 1
    assert run(capsys, "train", "rows.csv", "--model", "autoencoder", "--noise", "masking", *QUICK, "--epochs", "1")[0] == 0
    assert load("m").noise == "masking"


@pytest.mark.usefixtures("folder")
def test_scores_of_rows_cleaned_of_noise(capsys):
    """A model that removes noise is scored by that, and what it suggests next cleans rows."""
    np.save("x.npy", np.arange(60)[:, None] % np.arange(2, 7) == 0)
    given = "x.npy", "--model", "autoencoder", "--layers", "4", "--epochs", "1", "--pretrain-epochs", "1", "--out", "m"
    code, out, err = run(capsys, "train", *given, "--noise", "salt-and-pepper", "--json")
    assert code == 0, err
    of_noisy = json.loads(out)["scores"]
    assert list(of_noisy) == ["DBNAutoencoder", "ridge regression from noisy to clean rows", "the noisy rows", "the column means"]
    measure = "squared error of rows cleaned of noise, over that of the column means"
    assert of_noisy["the noisy rows"][measure] > 0.1
    assert run(capsys, *shlex.split(re.search("denoise m .*", err)[0]))[0] == 0
    assert np.load("denoised.npy").shape == (60, 5)
    assert "denoise" not in run(capsys, "train", *given, "--force")[2]


def test_remedies_name_options(capsys, monkeypatch):
    """Where a fit names its parameters, the command line names its options."""
    monkeypatch.setattr(train, "run", lambda args: warnings.warn("Try more epochs (n_iter), or scale='standard'", stacklevel=2))
    assert run(capsys, "train")[2] == "warning: Try more epochs (--pretrain-epochs), or --scale standard\n"


@pytest.mark.usefixtures("folder")
def test_samples_of_images_are_a_picture(capsys):
    pytest.importorskip("matplotlib")
    np.save("x.npy", np.arange(20)[:, None] % np.arange(2, 66) == 0)
    err = run(capsys, "train", "x.npy", "--model", "rbm", "--layers", "3", "--epochs", "1", "--out", "m")[2]
    assert run(capsys, *shlex.split(re.search("sample m .*", err)[0]))[0] == 0
    assert Path("samples.png").exists()


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("rbm", {"n_iter": 3, "batch_size": 7, "learning_rate": 0.05}),
        ("dbn", {"rbm__n_iter": 3, "rbm__batch_size": 7, "rbm__learning_rate": 0.05}),
        ("generative", {"up_down_iter": 3, "rbm__batch_size": 7, "rbm__learning_rate": 0.05}),
        ("outliers", {"rbm__n_iter": 3, "rbm__batch_size": 7, "rbm__learning_rate": 0.05}),
    ],
)
def test_options_of_models_that_are_not_fine_tuned(model, found, folder, capsys):
    """They are parameters of the RBMs; epochs are those of up-down where there is it."""
    more = ["--epochs", "3", "--batch-size", "7", "--learning-rate", "0.05", "--layers", "6", "--out", "m", "--target", "kind"]
    code, _, err = run(capsys, "train", "rows.csv", "--model", model, *more)
    assert code == 0, err
    params = load("m").get_params()
    assert {name: params[name] for name in found} == found


def test_pretraining_is_compared_by_the_time_of_fine_tuning(folder, capsys, monkeypatch):
    """The network without pretraining is left out where its own epochs would take too long, however long pretraining was."""
    monkeypatch.setattr(train, "MOST_SECONDS", 1e9)
    given = "train", "rows.csv", "--target", "kind", "--epochs", "2", *QUICK
    assert "pretraining brought" in run(capsys, *given)[1]
    monkeypatch.setattr(train, "MOST_SECONDS", 0)
    assert "not compared with a network without pretraining, which would take" in run(capsys, *given)[1]


def test_a_comparison_that_diverges(folder, capsys, monkeypatch):
    """The scores of the model that was trained are not lost."""
    fit = DBNClassifier.fit

    def diverges(self, *given, **options):
        if not self.pretrain:
            raise FloatingPointError("diverged")
        return fit(self, *given, **options)

    monkeypatch.setattr(DBNClassifier, "fit", diverges)
    code, out, _ = run(capsys, "train", "rows.csv", "--target", "kind", "--epochs", "2", *QUICK)
    assert code == 0
    assert out.startswith("test accuracy: ")
    assert out.endswith("whose training diverged\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "rbm", "--dropout", "0.2"], "--dropout: RBM has no such parameter"),
        (["--model", "dbn", "--noise", "masking"], "--noise: DBN has no such parameter"),
        (["--model", "dbn", "--epochs", "2", "--pretrain-epochs", "3"], "the same for DBN, which is not fine-tuned"),
        (["--target", "x0", "--task", "regress", "--class-weight", "balanced"], "--class-weight: DBNRegressor has no such"),
        (["--target", "Kind"], "did you mean 'kind'? The columns are x0, x1"),
        ([], "the columns are x0, x1, x2, x3, x4, kind. To learn rows without"),
        (["--model", "dbn", "--validation", "0.1"], "--validation: DBN has no such parameter"),
        (["--model", "rbm", "--layers", "4,3"], "give --model dbn"),
        (["--model", "rbm", "--task", "classify"], "contradict each other"),
        (["--target", "kind", "--quiet", "--verbose"], "--quiet and --verbose contradict each other"),
        (["--model", "dbn", "--labels", "more.csv"], "--labels more.csv: --model dbn learns no target: leave out one"),
        (["--target", "kind", "--test", "more.csv", "--test-size", "0.1"], "--test and --test-size: give only one of them"),
        (["--target", "kind", "--labels", "more.csv"], "--target and --labels: give only one of them"),
        (["--target", "kind", "--checkpoint", "rows.csv"], "--checkpoint rows.csv is a file: name a folder"),
        (["--target", "kind", "--out", "m", "--report", "./m"], "--report ./m is the model file of --out"),
        (["--target", "kind", "--test", "none.csv"], "none.csv"),
        (["--target", "kind", "--test", "other.csv"], "other.csv, the rows to test on: the table lacks the column 'x1'"),
        (["--target", "kind", "--rows", "1"], "--rows 1: training needs two rows at least"),
        (["--target", "kind", "--test-size", "0.999"], "of 60 rows 60 are to test on, which leaves 0 to train on"),
        (["--target", "kind", "--as", "x1=colour"], "kinds (--as) x1='colour': give one of"),
        (["--config", "none.toml"], "--config none.toml: No such file or directory: give the path"),
        (["--target", "kind", "--memory-limit", "5"], "--memory-limit '5' is too small"),
        (["--target", "kind", "--keep", "kind"], "column 'kind' is a target or names groups, so it is no feature"),
        (["--target", "kind", "--groups", "x1", "--as", "x1=category"], "column 'x1' is a target or names groups"),
        (["--target", "kind", "--as", "x1=flag", "--as", "x1=number"], "--as x1=flag --as x1=number: a column is named twice"),
        (["--target", "kind", "--as", "x1=drop", "--keep", "x1"], "(--as) drops it and keep (--keep) uses it"),
    ],
    ids=str,
)
def test_what_does_not_fit(words, said, folder, capsys):
    Path("other.csv").write_text("a,kind\n0,0\n1,1\n")
    code, _, err = run(capsys, "train", "rows.csv", *QUICK[2:], *words)
    assert code == 1
    assert said in err


def test_quiet(folder, capsys):
    """Nothing but the result."""
    _, out, err = run(capsys, "train", "rows.csv", "--target", "kind", "--epochs", "2", "--quiet", *QUICK)
    assert out.startswith("test accuracy: ")
    assert [line for line in err.splitlines() if not line.startswith("warning: ")] == []


def test_config(folder, capsys):
    """Options of a file are those of the command line, which win; the model notes all of them."""
    path = Path("run.toml")
    lines = ['data = "rows.csv"', 'target = "kind"', "layers = [6, 4]", 'keep = ["x0"]', "quiet = true", 'out = "m"']
    path.write_text("\n".join([*lines, "epochs = 2", "pretrain_epochs = 1"]))
    assert run(capsys, "train", "--config", path)[0] == 0
    assert load("m").hidden_layer_sizes == (6, 4)
    assert load("m").n_features_in_ == 5
    assert run(capsys, "train", "more.csv", "--config", path, "--layers", "3", "--force")[0] == 0
    assert load("m").hidden_layer_sizes == (3,)
    assert "more.csv" in load("m").command_
    assert "rows.csv" not in load("m").command_


@pytest.mark.parametrize(
    ("text", "words", "header", "keep"),
    [
        ("header = true", ["--no-header"], False, []),
        ("header = true", [], True, []),
        ("header = false", [], False, []),
        ("no_header = true", ["--header"], True, []),
        ('keep = ["x0", "x1"]', ["--keep", "x2"], None, ["x2"]),
    ],
)
def test_the_command_line_wins(text, words, header, keep, folder):
    """Over what the file says of the same, by whatever option; a flag that is false has its opposite."""
    Path("run.toml").write_text(text)
    for command in ("train", "tune", "bench"):
        parser = build_parser()
        args = parser.parse_args(with_config(parser, [command, "--config", "run.toml", *words]))
        assert (args.header, args.keep) == (header, keep)


def test_kinds_in_a_config(folder):
    Path("run.toml").write_text('as = {x0 = "flag", "x=1" = "drop"}')
    args = build_parser().parse_args(with_config(build_parser(), ["train", "--config", "run.toml"]))
    assert args.kinds == ["x0=flag", "x=1=drop"]


@pytest.mark.parametrize("command", ["train", "tune", "bench"])
@pytest.mark.parametrize("words", [["--target", "x"], ["--no-header"], ["--as", "x=flag"], ["--task", "regress"]], ids=str)
def test_digits_have_no_columns(command, words, folder, capsys):
    """Options that say something of a file's columns are refused where there is none."""
    code, _, err = run(capsys, command, *words)
    assert code == 1
    assert "name a file" in err


def test_digits_are_split_as_told(capsys):
    args = build_parser().parse_args(["train", "--test-size", "0.5"])
    assert len(training_rows(args).X_test) == 898


def test_test_rows_of_one_class(folder, capsys):
    """They can be scored, though not learned from."""
    lines = Path("rows.csv").read_text().splitlines()
    Path("one.csv").write_text("\n".join([lines[0], *(line for line in lines[1:] if line.endswith("1"))]))
    given = ["train", "rows.csv", "--target", "kind", "--keep", "x0", "--epochs", "1", *QUICK]
    code, _, err = run(capsys, *given, "--test", "one.csv")
    assert code == 0, err
    assert run(capsys, "evaluate", "m", "one.csv", "--target", "kind")[0] == 0
    assert "only one class" in run(capsys, "train", "one.csv", "--target", "kind", *QUICK)[2]


@pytest.mark.filterwarnings("default::fastdbn.FitWarning")
def test_a_bad_fit_warns_once(folder, capsys):
    """The fit without pretraining, which the user has not asked for, does not warn."""
    code, _, err = run(capsys, "train", "rows.csv", "--target", "kind", "--learning-rate", "1e6", "--epochs", "3", *QUICK)
    assert code == 0, err
    assert err.count("the output is the same for all") + err.count("worse than a constant") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layer = 3", "has no option 'layer'; it has "),
        ("help = true", "has no option 'help'"),
        ("quiet = 3", "quiet = 3: give true or false"),
        ("quiet", "not a TOML file"),
        ('config = "other.toml"', "has no option 'config'"),
    ],
)
def test_bad_config(text, said, folder, capsys):
    Path("run.toml").write_text(text)
    code, _, err = run(capsys, "train", "--config", "run.toml")
    assert code == 1
    assert said in err
