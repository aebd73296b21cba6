"""How chains draw from fitted machines: one method a file. `sampler.py` says what a method is."""

from fastdbn.sampling.gibbs import Gibbs
from fastdbn.sampling.sampler import Sampler
from fastdbn.sampling.stacked import Stacked
from fastdbn.sampling.tempering import Tempering
from fastdbn.sampling.trajectory import Trajectory

METHODS: dict[str, type[Sampler]] = {"gibbs": Gibbs, "tempering": Tempering, "stacked": Stacked, "trajectory": Trajectory}
"""The methods by their names."""
