"""The literature's MNIST tables, reproduced: `python -m benchmarks.mnist NAME`."""
