"""What SECURITY.md promises, shown by counts: one file for each part. `python -m benchmarks.robustness` runs them."""

import sys
from pathlib import Path

import tests

sys.path.insert(0, str(Path(tests.__path__[0])))  # tests import each other by name
