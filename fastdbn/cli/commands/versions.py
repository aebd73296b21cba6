"""Show the versions of fastdbn, Python and all that computes, for bug reports."""


def options(parser):
    """None."""


def run(args):
    """Print them."""
    from fastdbn import show_versions

    show_versions()
