"""What a bug report should contain: versions of everything that computes, and how it is set up."""

import importlib.metadata
import platform
import sys

PACKAGES = ("fastdbn", "numpy", "scipy", "numba", "scikit-learn", "safetensors", "threadpoolctl", "numba-cuda")


def show_versions():
    """Print the versions of Python, the platform and the packages, the kernel cache and the BLAS libraries in use."""
    from threadpoolctl import threadpool_info

    import fastdbn
    from fastdbn.backends.cpu.blas import has_extension, single_threaded
    from fastdbn.backends.cpu.jit import cache_folder
    from fastdbn.backends.cpu.pool import available_threads

    installed = {package.name: package.version for package in importlib.metadata.distributions()}
    values = {"python": f"{sys.version.split()[0]} on {platform.platform()}"}
    values |= {name: installed.get(name, "not installed") for name in PACKAGES}
    values["fastdbn"] = installed.get("fastdbn", f"{fastdbn.__version__} (not installed)")
    values["processors"] = available_threads()
    values["extension"] = "in use" if has_extension() else "not in use"
    values["kernel cache"] = cache_folder() or "none: no folder can be written"
    for name, value in values.items():
        print(f"{name:<14} {value}")
    with single_threaded():
        pass  # loads SciPy's BLAS
    for library in threadpool_info():
        if library["user_api"] == "blas":
            print(f"{'blas':<14} {library['internal_api']} {library['version']} {library.get('architecture', '')}")
