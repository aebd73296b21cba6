"""Builds the optional Cython extension `fastdbn._blas`; everything else is in pyproject.toml.

Without a compiler the extension is left out and the library works the same through BLAS addresses taken from SciPy.
FASTDBN_REQUIRE_EXTENSION=1 makes it mandatory, so that a wheel is never shipped without it by accident.
"""

import os

from setuptools import Extension, setup

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

setup(ext_modules=extensions)
