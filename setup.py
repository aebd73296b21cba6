"""Builds the optional Cython extension `fastdbn._blas`, and for a release the kernels; everything else is in pyproject.toml.

Without a compiler the extension is left out and the library works the same through BLAS addresses taken from SciPy.
FASTDBN_REQUIRE_EXTENSION=1 makes it mandatory, so that a wheel is never shipped without it by accident.
FASTDBN_SHIP_KERNELS=1 compiles the common kernels into the wheel, FASTDBN_SHIP_KERNELS=x86-64-v3 those of this level alone. They
fit the Numba and NumPy of the environment that builds, so it must not be an isolated one.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

required = os.environ.get("FASTDBN_REQUIRE_EXTENSION") == "1"
try:
    from Cython.Build import cythonize

    extensions = cythonize([Extension("fastdbn._blas", ["csrc/blas.pyx"])], build_dir="build")
except ImportError:
    if required:
        raise
    extensions = []
for extension in extensions:
    extension.optional = not required  # cythonize() forgets it


class BuildPy(build_py):
    """Python files, and the kernels that they compile to."""

    def run(self):
        super().run()
        if wanted := os.environ.get("FASTDBN_SHIP_KERNELS"):
            folder, levels = Path(self.build_lib).resolve(), [] if wanted == "1" else wanted.split(",")
            command = [sys.executable, "-m", "fastdbn.cli.ship", folder / "fastdbn" / "kernels", *levels]
            subprocess.run(command, check=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)})


setup(ext_modules=extensions, cmdclass={"build_py": BuildPy})
