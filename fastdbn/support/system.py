"""What Windows lacks: fork, and locks of files by fcntl. There nothing is registered and nothing is locked."""

import os
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:
    fcntl = None


def at_fork(**hooks):
    """`os.register_at_fork`, where processes can fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(**hooks)
