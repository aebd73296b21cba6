"""Versions of everything that computes."""


def options(parser):
    """None."""


def run(args):
    """Print them."""
    from fastdbn import show_versions

    show_versions()
