"""Compile all kernels into the disk cache, so that later runs start at once.

examples:
  fastdbn warmup
  fastdbn warmup --dtype float32 --units bernoulli gaussian
"""

import time

from fastdbn.cli import options as common


def options(parser):
    option = parser.add_argument
    option("--dtype", nargs="+", choices=("float32", "float64"), help="precisions of the models [all]")
    option("--units", nargs="+", type=_unit, metavar="UNIT", help="unit types [bernoulli gaussian softmax]")
    kinds = ("float32", "float64", "uint8", "bool", "int64", "int32")
    option("--data", nargs="+", choices=kinds, help="types of the data [all]")
    common.quiet(parser)


def _unit(text):
    from fastdbn.units import UNITS

    return common.checked(str, UNITS.__contains__, f"one of {', '.join(UNITS)}")(text)


def run(args):
    """Compile what the estimators need, and print how much was cached already, and where."""
    from fastdbn.cli.warmup import warmup

    given = {name: getattr(args, name) for name in ("dtype", "units", "data") if getattr(args, name) is not None}
    started = time.perf_counter()
    report = warmup(verbose=0 if args.quiet else 1, **given)
    seconds = time.perf_counter() - started
    print(f"{report.compiled} kernels compiled, {report.cached} in the cache already, {seconds:.0f} s; cache: {report.folder}")
