"""How good a fitted model is: likelihoods (exact and estimated), bounds, and how well its chains mix.

docs/evaluation.md says what each number means, and which are bounds and in which direction.
"""

from fastdbn.evaluate.ais import ais, gap, reverse_ais
from fastdbn.evaluate.bounds import Bound, dbn_bound, exact_samples, free_energy_gap, log_likelihood, log_z, pseudo_log_likelihood
from fastdbn.evaluate.estimate import Estimate
from fastdbn.evaluate.mixing import Mixing, autocorrelation, integrated_time, mixing
from fastdbn.evaluate.schedule import inverse_temperatures

__all__ = [
    "Bound",
    "Estimate",
    "Mixing",
    "ais",
    "autocorrelation",
    "dbn_bound",
    "exact_samples",
    "free_energy_gap",
    "gap",
    "integrated_time",
    "inverse_temperatures",
    "log_likelihood",
    "log_z",
    "mixing",
    "pseudo_log_likelihood",
    "reverse_ais",
]
