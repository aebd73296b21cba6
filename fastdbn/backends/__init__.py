"""Where computing is done: the protocol, the CPU, and CUDA."""
