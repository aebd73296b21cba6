"""What a bug report should contain: versions of everything that computes, and how it is set up."""


def show_versions():
    """Print the versions of Python, the platform and the packages, the kernel cache and the BLAS libraries in use."""
    from fastdbn.backends.cpu.jit import cache_folder
    from fastdbn.report.environment import environment

    cache = cache_folder() or "none: no folder can be written"
    for name, value in (environment() | {"kernel cache": cache}).items():
        print(f"{name:<14} {value}")
