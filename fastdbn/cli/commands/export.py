"""Write a model for other software: as an ONNX file, or as a program that needs NumPy alone.

examples:
  fastdbn export model.safetensors --out model.onnx
  fastdbn export model.safetensors --out model.py
"""

from pathlib import Path

from fastdbn.cli import options as common
from fastdbn.support.report import progress

FORMATS = {"onnx": ".onnx", "numpy": ".py"}
"""Forms of models, and the ending of the files of each."""


def options(parser):
    common.model(parser)
    parser.add_argument("--format", choices=FORMATS, help="form of the model [by the ending of F: .onnx or .py]")
    common.out(parser, "file; with a NumPy program a .npz file stands beside it [MODEL with .onnx, or .py]")


def run(args):
    """Load a model and write it in the form that was asked for."""
    from fastdbn.cli.results import check_ending, check_out
    from fastdbn.cli.rows import load_model
    from fastdbn.exits.model import is_prepared
    from fastdbn.exits.numpy_source import to_numpy
    from fastdbn.exits.onnx_file import export_onnx

    ending = Path(args.out or "").suffix.lower()
    form = args.format or next((form for form, known in FORMATS.items() if known == ending), None if args.out else "onnx")
    if form is None:
        raise ValueError(f"--out {args.out}: give --format onnx or --format numpy, or a name that ends with .onnx or .py")
    check_ending(args.out, f"--format {form} is", (FORMATS[form],))
    if form == "numpy" and args.out and ending != ".py":
        raise ValueError(f"--out {args.out}: give --format numpy a name that ends with .py")
    args.out = args.out or str(Path(args.model).with_suffix(FORMATS[form]))
    model = load_model(args)
    if form == "numpy":
        check_out(Path(args.out).with_suffix(".npz"), args.force)
        to_numpy(model).save(args.out)
        if is_prepared(model):
            progress("the program takes numbers, as the model's preparation_ makes them of a table; an ONNX file takes the table")
    else:
        try:
            export_onnx(model, args.out)
        except ImportError as error:
            raise ValueError(str(error)) from error
    takes = "each column of the table by its name" if is_prepared(model) else f"rows of {model.n_features_in_} numbers, named X"
    progress(f"saved {args.out}" + (f": it takes {takes}" if form == "onnx" else ""))
