"""What kernels do with whole rows of states and fields: copy one, let two change places."""

from fastdbn.backends.cpu.jit import inlinable


@inlinable
def copy_row(x, out):
    for j in range(len(x)):
        out[j] = x[j]


@inlinable
def swap_rows(x, y):
    for j in range(len(x)):
        x[j], y[j] = y[j], x[j]
