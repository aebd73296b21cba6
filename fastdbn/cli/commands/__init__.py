"""The commands, one file each, in the order of the help.

A file's docstring is the help of its command: one line, then examples. `options(parser)` adds its arguments, of which
`cli/options.py` has those that several commands share. `run(args)` does the work; it imports what is slow to import, so that
help is quick. A new command is such a file and its name here.
"""

NAMES = (
    *("train", "predict", "transform", "sample", "impute", "denoise", "score", "evaluate", "report", "export"),
    *("tune", "bench", "info", "warmup", "versions"),
)
